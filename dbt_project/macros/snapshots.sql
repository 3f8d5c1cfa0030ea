{#- Before a model of snapshots is built on the one of before: forget what is new to it, and what is no
    longer pointed at. Its rows follow from one delivery each, so all others stay as they are. -#}
{% macro forget_new_deliveries(relation) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where delivery_id not in (select delivery_id from {{ relation }} where not is_new)
    {%- endif -%}
{%- endmacro %}
