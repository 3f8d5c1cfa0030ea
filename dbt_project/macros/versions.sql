{#- The rows of a relation that count: of those with one key the latest version over all deliveries, the
    same one whichever delivery came first. delivery_id only settles a tie. -#}
{% macro latest_versions(relation, key, last_updated=none) -%}
    select *
    from (
        select
            *,
            row_number() over (
                partition by {{ key | join(', ') }}
                order by
                    {% if last_updated %}{{ last_updated }} desc,{% endif %}
                    received_at desc,
                    delivery_id desc
            ) as version_rank
        from {{ relation }}
    )
    where version_rank = 1
{%- endmacro %}
