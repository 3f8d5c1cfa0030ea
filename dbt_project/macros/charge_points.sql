{#- Whether a row of charge_point_definitions holds in a month. -#}
{% macro holds_in(definitions, month) -%}
    {{ month }} >= {{ definitions }}.valid_from
    -- Open-ended: null as loaded, an empty text where dbt's unit tests read the seed.
    and {{ month }} <= coalesce(nullif({{ definitions }}.valid_to, ''), {{ month }})
{%- endmacro %}

{#- regular, fast or unknown (snelladen or not), by the power of a charge point. -#}
{% macro speed_of(power_kw, fast_from_kw) -%}
    case
        when {{ power_kw }} is null or {{ fast_from_kw }} is null then 'unknown'
        when {{ power_kw }} >= {{ fast_from_kw }} then 'fast'
        else 'regular'
    end
{%- endmacro %}

{#- The kind that a charge point is reported by. Each is of exactly one. -#}
{% macro kind_of(access, speed) -%}
    case
        when {{ speed }} = 'fast' then 'fast'
        when {{ speed }} = 'unknown' then 'unknown_speed'
        when {{ access }} = 'public' then 'public_regular'
        when {{ access }} = 'semi_public' then 'semi_public_regular'
        else 'unknown_access_regular'
    end
{%- endmacro %}
