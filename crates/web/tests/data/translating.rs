//! Columns that morph's clients get as Ruby reads them.

use crate::place::Place;

const TYPES: &str = "CREATE TABLE data(day DATE, at DATETIME, yes BOOLEAN, real REAL, any, bytes BLOB); \
    INSERT INTO data VALUES ('2014-01-02 10:00', '2014-01-02 03:04:05', 1, 2, 'x', x'61ff62'); \
    INSERT INTO data VALUES ('someday', 'never', 'f', 1e20, 9007199254740993, NULL); \
    INSERT INTO data VALUES (NULL, '2014-01-02T03:04:05.5+11:00', '0', 0.1, CAST(x'c3a9ff61' AS TEXT), x'')";

#[tokio::test]
async fn dates_and_answers_are_translated_in_json() {
    let place = Place::with(TYPES).await;
    let rows = place.query("json", "select * from data").await;
    assert_eq!(
        rows.body,
        "[\n{\"day\":\"2014-01-02\",\"at\":\"2014-01-02T03:04:05.000+00:00\",\"yes\":true,\"real\":2.0,\"any\":\"x\",\"bytes\":\"ab\"}\
        \n,{\"day\":\"someday\",\"at\":\"never\",\"yes\":false,\"real\":1.0e+20,\"any\":9007199254740993,\"bytes\":null}\
        \n,{\"day\":null,\"at\":\"2014-01-02T03:04:05.500+11:00\",\"yes\":false,\"real\":0.1,\"any\":\"a\",\"bytes\":\"\"}\n]"
    );
}

#[tokio::test]
async fn dates_and_answers_are_translated_in_csv() {
    let place = Place::with(TYPES).await;
    let rows = place.query("csv", "select * from data").await;
    assert_eq!(
        rows.body,
        "day,at,yes,real,any,bytes\n\
        2014-01-02,2014-01-02T03:04:05+00:00,true,2.0,x,ab\n\
        someday,never,false,1.0e+20,9007199254740993,\n\
        ,2014-01-02T03:04:05+11:00,false,0.1,a,\"\"\n"
    );
}

#[tokio::test]
async fn only_columns_of_tables_are_translated() {
    let place = Place::with(TYPES).await;
    let rows = place
        .query(
            "json",
            "select day || '' as day, yes + 0 as yes from data limit 1",
        )
        .await;
    assert_eq!(rows.body, "[\n{\"day\":\"2014-01-02 10:00\",\"yes\":1}\n]");
}
