{#- Schemas are named plainly (staging, intermediate, marts, reference): every build has a file of its own,
    so no prefix is needed to keep builds apart. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
