{#- Rows for which a predicate (of a contract) is false. Null passes: whether a column may be null is the
    contract's own not-null rule. -#}
{% test holds(model, predicate) %}
select *
from {{ model }}
where not ({{ predicate }})
{% endtest %}
