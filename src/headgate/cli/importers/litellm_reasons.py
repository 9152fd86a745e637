"""Keys of LiteLLM's config that are not converted, each with the reason: what is done here instead, or that nothing is.

Source: LiteLLM's documentation of its proxy's config file (docs.litellm.ai/docs/proxy/config_settings).
"""

from __future__ import annotations

from headgate.cli.importers.source import Reason


def _reasons(*rows: tuple[Reason, str]) -> dict[str, Reason]:
    return {key: reason for reason, keys in rows for key in keys.split()}


def _lost(why: str) -> Reason:
    return ("lost", why)


def _needless(why: str) -> Reason:
    return ("needless", why)


_LIMITS = _lost("requests and tokens are not counted; a provider's own word on its limits is heeded")
_CONCURRENCY = _lost("how many calls a target takes at once is learned from how it answers")
_BUDGET = _lost("budgets are not kept")
_BY_KIND = _lost(
    "one number holds for all failures that may pass (`retry.attempts`); the others are never repeated at a target"
)
_FAILS = _lost("failures are not counted by kind: those that speak of the target's health count (`breaker`)")
_TAGS = _lost(
    "give the target `tags`, which then takes only requests with one of them: an untagged request goes to targets without (docs/routing.md)"
)
_ALL_MODELS = _lost("guards are for all models")
_KEYS_MODELS = _lost("a key's models are its own list, `keys[].models`")
_LOGGING = _lost("callbacks are not called; there are logs, metrics and the ledger (`headgate usage`)")
_DATABASE = _lost(
    "keys, teams and spend are not taken over: make keys with `headgate keys`; records are kept in `data`"
)
_SIGN_IN = _lost("clients show keys (`headgate keys`); other sign-ins are not done yet")
_TOLD = _needless("what a target does not take is left out and told per request; `strict: true` refuses instead")
_HEALTH = _needless(
    "providers are asked aside only while one is left alone (`probe`); /health/ready tells the gateway's own"
)
_ITS_PROVIDER = _needless("they go to the provider that the path names: /PROVIDER/...")

PARAMS: dict[str, Reason] = _reasons(
    (_LIMITS, "rpm tpm default_api_key_rpm_limit default_api_key_tpm_limit"),
    (_CONCURRENCY, "max_parallel_requests"),
    (_BUDGET, "max_budget budget_duration"),
    (_lost("give `breaker` below its provider"), "allowed_fails"),
    (
        _lost("parameters are the client's: no default is put into requests"),
        """temperature max_tokens max_completion_tokens top_p top_k seed stop n user presence_penalty frequency_penalty
        response_format reasoning_effort thinking extra_body extra_query tools tool_choice parallel_tool_calls verbosity
        service_tier safety_settings dimensions encoding_format input_type metadata store repetition_penalty num_ctx
        num_predict keep_alive modalities audio web_search_options logit_bias logprobs top_logprobs stream voice size
        quality style""",
    ),
    (
        _lost("a sign-in by tokens of a directory is not done yet: give an API key"),
        "azure_ad_token azure_scope tenant_id client_id client_secret azure_username azure_password",
    ),
    (_TOLD, "drop_params additional_drop_params allowed_openai_params"),
    (_TAGS, "tags tag_regex"),
    (_lost("there is `demo/chat` to try things with"), "mock_response mock_timeout"),
    (_needless("a provider's own paths are passed through: /PROVIDER/..."), "use_in_pass_through"),
    (_lost("reasoning stays apart from the answer's text"), "merge_reasoning_content_in_choices"),
    (_ALL_MODELS, "guardrails"),
    (_lost("cache marks are the client's"), "cache_control_injection_points"),
    (
        _lost("prices are by token"),
        "input_cost_per_second output_cost_per_second input_cost_per_image input_cost_per_query",
    ),
    (_lost("prices do not depend on a request's size"), "tiered_pricing input_cost_per_token_above_200k_tokens"),
)
"""Below litellm_params."""

INFO: dict[str, Reason] = _reasons(
    (
        _lost("prices go by the model's name at the provider: where the catalog does not know it, give `prices`"),
        "base_model",
    ),
    (_KEYS_MODELS, "access_groups team_id team_public_model_name"),
    (_HEALTH, "health_check_model health_check_timeout disable_background_health_check health_check_voice"),
    (
        _needless("known from the catalog, or for information"),
        """id mode version description db_model created_at updated_at key litellm_provider max_tokens max_input_tokens
        max_output_tokens tier supports_vision supports_function_calling supports_parallel_function_calling
        supports_response_schema supports_system_messages supports_prompt_caching supports_audio_input
        supports_audio_output supports_pdf_input supports_reasoning supports_web_search supports_tool_choice
        supports_assistant_prefill supports_embedding_image_input supported_openai_params supported_environments
        output_vector_size rpm tpm metadata tags notes""",
    ),
)
"""Below model_info."""

SETTINGS: dict[str, Reason] = _reasons(
    (
        _LOGGING,
        """success_callback failure_callback callbacks service_callbacks callback_settings langfuse_default_tags
        s3_callback_params datadog_params audit_log_callbacks default_redis_batch_cache_expiry""",
    ),
    (_lost("answers are not cached"), "cache cache_params enable_redis_auth_cache"),
    (_BUDGET, "max_budget budget_duration max_end_user_budget max_user_budget provider_budget_config"),
    (
        _DATABASE,
        """default_internal_user_params default_team_settings default_team_params max_internal_user_budget
        upperbound_key_generate_params default_key_generate_params key_generation_settings database_url
        store_model_in_db database_connection_pool_limit database_type database_args database_connection_timeout
        allow_requests_on_db_unavailable use_redis_transaction_buffer disable_spend_logs store_prompts_in_spend_logs
        proxy_batch_write_at disable_reset_budget maximum_spend_logs_retention_period disable_spend_updates
        maximum_spend_logs_retention_interval custom_key_generate custom_key_update""",
    ),
    (
        _lost("alerts are made of the metrics, by what watches them"),
        "alerting alerting_threshold alerting_args alert_types alert_to_webhook_url spend_report_frequency",
    ),
    (_BY_KIND, "retry_policy model_group_retry_policy"),
    (
        _lost("pauses are drawn by chance below `retry.base`; a provider's Retry-After is never cut short"),
        "retry_after",
    ),
    (_lost("a fallback's own fallbacks are not asked"), "max_fallbacks"),
    (_lost("the config's `retry` holds for all"), "num_retries_per_request"),
    (_FAILS, "allowed_fails_policy"),
    (
        _needless("one gateway shares nothing with others"),
        "redis_host redis_port redis_password redis_url redis_db redis_ssl cache_kwargs cache_responses",
    ),
    (
        _needless("bodies are never logged"),
        "turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions",
    ),
    (_TOLD, "drop_params modify_params"),
    (
        _LIMITS,
        "max_parallel_requests disable_retry_on_max_parallel_request_limit_error",
    ),
    (_CONCURRENCY, "default_max_parallel_requests"),
    (_HEALTH, "background_health_checks health_check_interval health_check_details health_check_concurrency"),
    (
        _SIGN_IN,
        """enable_jwt_auth litellm_jwtauth custom_auth custom_sso enable_oauth2_auth enable_oauth2_proxy_auth
        user_header_name litellm_key_header_name custom_auth_run_common_checks role_permissions""",
    ),
    (
        _needless("there is no such page"),
        """ui_access_mode disable_master_key_return custom_ui_sso_sign_in_handler proxy_budget_rescheduler_min_time
        proxy_budget_rescheduler_max_time default_user_params""",
    ),
    (
        _lost("secrets come by ${VAR} and ${file:path}: let your secret store write those"),
        "key_management_system key_management_settings use_google_kms use_azure_key_vault use_aws_secret_manager",
    ),
    (_lost("times are smoothed, and one request of twenty measures the others anew"), "routing_strategy_args"),
    (_lost("give keys a `priority`"), "default_priority"),
    (_TAGS, "enable_tag_filtering tag_filtering_match_any"),
    (_lost("only providers' own paths are passed through: /PROVIDER/..."), "pass_through_endpoints"),
    (_needless("`discover` does so"), "infer_model_from_keys check_provider_endpoint"),
    (_lost("a request names its model"), "completion_model default_model"),
    (_lost("a request need not name its user"), "enforce_user_param enforced_params"),
    (
        _lost("a key's rights are its `models` and `scopes`"),
        "allowed_routes admin_only_routes public_routes admin_allowed_routes",
    ),
    (_lost("a client's headers go upward by the dialect's allow-list"), "forward_client_headers_to_llm_api"),
    (_lost("an answer's size is not bounded"), "max_response_size_mb"),
    (_needless("nothing is reported to anybody"), "telemetry"),
    (_lost("give cert_file and key_file below each provider"), "ssl_certificate"),
    (_needless("both address families are tried"), "force_ipv4"),
    (_lost("write the name under `models`"), "model_alias_map"),
    (
        _needless("cost is by key and tenant"),
        "disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only",
    ),
    (_needless("names are forwarded as they are"), "enable_preview_features disable_copilot_system_to_assistant"),
)
"""Below litellm_settings, router_settings and general_settings."""

SECTIONS: dict[str, Reason] = _reasons(
    (_lost("convert that file too, and put both together"), "include"),
    (_lost("MCP servers are not served yet"), "mcp_servers mcp_tools"),
    (_lost("these are the provider's own"), "vector_store_registry search_tools assistant_settings"),
    (_ITS_PROVIDER, "files_settings finetune_settings"),
    (_LOGGING, "callback_settings"),
    (_lost("prompts are the client's"), "prompts"),
    (_ALL_MODELS, "policies policy_attachments"),
)
"""At the top."""
