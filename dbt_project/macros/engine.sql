{#- The only SQL that differs between engines. Another engine adds `<engine>__<macro>` beside these;
    models and tests stay as they are. -#}

{#- One row a month, column first_day, from first_day to last_day (dates, both included); no row where
    either is null. -#}
{% macro month_series(first_day, last_day) -%}
    {{ return(adapter.dispatch('month_series', 'goral')(first_day, last_day)) }}
{%- endmacro %}

{% macro duckdb__month_series(first_day, last_day) -%}
    select cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 month)) as date) as first_day
{%- endmacro %}

{#- The calendar month of a date, as it is spelled everywhere: '2022-11'. -#}
{% macro month_of(date_expression) -%}
    {{ return(adapter.dispatch('month_of', 'goral')(date_expression)) }}
{%- endmacro %}

{% macro duckdb__month_of(date_expression) -%}
    strftime({{ date_expression }}, '%Y-%m')
{%- endmacro %}
