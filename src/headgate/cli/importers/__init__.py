"""Other gateways' config files, converted. What cannot be is told with its line; nothing is dropped in silence."""
