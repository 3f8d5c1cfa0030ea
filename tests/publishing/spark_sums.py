"""What Spark reads of Parquet files, as JSON: rows, and the sum of a column.

`python spark_sums.py PATH COLUMN …`, in an environment that has pyspark; nothing else is imported.
"""

import json
import sys

from pyspark.sql import SparkSession, functions


def main(arguments: list[str]) -> None:
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    told = []
    for path, column in zip(arguments[::2], arguments[1::2], strict=True):
        read = spark.read.parquet(path)
        rows, total = read.agg(functions.count("*"), functions.sum(column)).collect()[0]
        told.append([rows, str(total)])
    spark.stop()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
