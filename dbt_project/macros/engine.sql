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

{#- What clocks at home showed at a moment: a timestamp without zone. -#}
{% macro local_time(moment) -%}
    {{ return(adapter.dispatch('local_time', 'goral')(moment)) }}
{%- endmacro %}

{% macro duckdb__local_time(moment) -%}
    timezone('Europe/Amsterdam', {{ moment }})
{%- endmacro %}

{#- Hours of a month spelled '2022-10' by clocks at home: 745 in October, when they go back. -#}
{% macro hours_of_month(month) -%}
    {{ return(adapter.dispatch('hours_of_month', 'goral')(month)) }}
{%- endmacro %}

{% macro duckdb__hours_of_month(month) -%}
    cast(
        (
            epoch(timezone(
                'Europe/Amsterdam',
                cast({{ next_month_start(first_day_of(month)) }} as timestamp)
            ))
            - epoch(timezone('Europe/Amsterdam', cast({{ first_day_of(month) }} as timestamp)))
        ) / 3600 as integer
    )
{%- endmacro %}

{#- Whole seconds of a moment since 1970, rounded down or, of an end, up. -#}
{% macro seconds(moment, up=false) -%}
    {{ return(adapter.dispatch('seconds', 'goral')(moment, up)) }}
{%- endmacro %}

{% macro duckdb__seconds(moment, up) -%}
    ((epoch_ms({{ moment }}){{ ' + 999' if up }}) // 1000)
{%- endmacro %}

{#- The moment that lies whole seconds after 1970. -#}
{% macro moment_of(seconds) -%}
    {{ return(adapter.dispatch('moment_of', 'goral')(seconds)) }}
{%- endmacro %}

{% macro duckdb__moment_of(seconds) -%}
    make_timestamptz({{ seconds }} * 1000000)
{%- endmacro %}

{#- Quotient of whole numbers, both positive or zero, without its fraction: exact, as `/` is not. -#}
{% macro whole_quotient(dividend, divisor) -%}
    {{ return(adapter.dispatch('whole_quotient', 'goral')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__whole_quotient(dividend, divisor) -%}
    (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}

{#- Whole numbers from 0 to the last one, both included, one a row of what is selected. -#}
{% macro numbers_to(last_number) -%}
    {{ return(adapter.dispatch('numbers_to', 'goral')(last_number)) }}
{%- endmacro %}

{% macro duckdb__numbers_to(last_number) -%}
    unnest(generate_series(0, {{ last_number }}))
{%- endmacro %}

{#- Whether a list of texts holds one. -#}
{% macro list_holds(list, text) -%}
    {{ return(adapter.dispatch('list_holds', 'goral')(list, text)) }}
{%- endmacro %}

{% macro duckdb__list_holds(list, text) -%}
    list_contains({{ list }}, {{ text }})
{%- endmacro %}

{#- All that the lists of a group hold, as one list. -#}
{% macro all_in_lists(list) -%}
    {{ return(adapter.dispatch('all_in_lists', 'goral')(list)) }}
{%- endmacro %}

{% macro duckdb__all_in_lists(list) -%}
    flatten(list({{ list }}))
{%- endmacro %}
