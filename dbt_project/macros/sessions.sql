{#- Before a model of months of sessions is built on the one of before: forget the months that are made
    anew. All others stay, for nothing that they follow from has changed. -#}
{% macro forget_months(months_to_make) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where month in (select month from {{ months_to_make }})
    {%- endif -%}
{%- endmacro %}
