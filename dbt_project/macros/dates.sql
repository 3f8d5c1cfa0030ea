{#- First day of a month spelled '2022-11'. -#}
{% macro first_day_of(month) -%}
    cast({{ month }} || '-01' as date)
{%- endmacro %}

{#- First day of the month after the one a date lies in. It is also the first monthly reference date
    (peildatum) that sees an event of that date: a reference date sees only events dated before it. -#}
{% macro next_month_start(date_expression) -%}
    cast({{ dbt.dateadd('month', 1, "date_trunc('month', " ~ date_expression ~ ")") }} as date)
{%- endmacro %}
