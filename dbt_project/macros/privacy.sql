{#- What may be told of groups of persons. How many are enough is said once, in dbt_project.yml. -#}

{#- Why a cell of a total is not told: small, as there are too few behind it; complementary, as else
    the total less the other cells would tell what is small; none, where it is told. Of the cells that
    are not small the smallest is taken, and one is enough: it is large by itself.

    is_small        whether there are too few behind a cell
    total           columns of the total that the cell is part of
    smallest_first  by what to order cells; it must leave no tie
    needed          when a cell is taken besides, over the total's cells; else where one is small -#}
{% macro suppression(is_small, total, smallest_first, needed=none) -%}
    {%- set of_total = total | join(', ') -%}
    case
        when {{ is_small }} then 'small'
        when
            {{ needed or 'bool_or(' ~ is_small ~ ') over (partition by ' ~ of_total ~ ')' }}
            and row_number() over (
                partition by {{ of_total }}, {{ is_small }}
                order by {{ smallest_first }}
            ) = 1
            then 'complementary'
        else 'none'
    end
{%- endmacro %}

{#- A number of persons as it is told: the nearest multiple, half up. -#}
{% macro rounded_persons(persons) -%}
    {%- set step = var('persons_rounded_to') -%}
    {{ step }} * {{ whole_quotient('2 * ' ~ persons ~ ' + ' ~ step, 2 * step) }}
{%- endmacro %}

{#- Names of sources as one origin, in the order of their names. -#}
{% macro origin_of_two(one, other) -%}
    least({{ one }}, {{ other }}) || '+' || greatest({{ one }}, {{ other }})
{%- endmacro %}

{#- A column of a row that is published on instruction; null where the instruction leaves it out. The
    instruction stands in the relation `instructions`. -#}
{% macro unless_left_out(relation, column, expression=none) -%}
    case
        when not {{ list_holds('instructions.left_out', "'" ~ column ~ "'") }}
            then {{ expression or relation ~ '.' ~ column }}
    end as {{ column }}
{%- endmacro %}

{#- The same of what belongs to a location; what is left out of it stands in the relation `told`. -#}
{% macro unless_left_out_of_location(relation, column) -%}
    case
        when
            not {{ list_holds('told.left_out', "'" ~ column ~ "'") }}
            and not coalesce({{ list_holds('told.left_out_of_sessions', "'" ~ column ~ "'") }}, false)
            then {{ relation }}.{{ column }}
    end as {{ column }}
{%- endmacro %}
