//! The schemas in `schema/` and the page `docs/api.md`, compared with each other and with real answers.

use std::{fmt::Write, fs, path::Path};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Map, Value};

use super::{encode, get, list, live::events, program::KEYS, served, text};

const ENDPOINTS: [&str; 5] = ["breakers", "item", "keys", "history", "events"];

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn schema(name: &str) -> Value {
    serde_json::from_str(&file(&format!("schema/{name}.schema.json"))).unwrap()
}

/// The schemas of `schema/`.
pub(super) struct Validator {
    schemas: Schemas,
    compiler: Compiler,
}

impl Validator {
    pub(super) fn new() -> Self {
        let mut compiler = Compiler::new();
        for name in ENDPOINTS.into_iter().chain(["entries", "live", "error"]) {
            compiler.add_resource(&Self::url(name), schema(name)).unwrap();
        }
        Self { schemas: Schemas::new(), compiler }
    }

    fn url(name: &str) -> String {
        format!("https://schemas.test/{name}.schema.json")
    }

    fn compile(&mut self, name: &str) -> SchemaIndex {
        let (file, definition) = name.split_once('#').unwrap_or((name, ""));
        self.compiler.compile(&format!("{}#{definition}", Self::url(file)), &mut self.schemas).unwrap()
    }

    /// Panics if the value does not conform to the schema, `live#/$defs/rows` for example.
    pub(super) fn check(&mut self, name: &str, value: &Value) {
        let index = self.compile(name);
        if let Err(error) = self.schemas.validate(value, index) {
            panic!("{name}: {error:#}\n{value:#}");
        }
    }

    fn accepts(&mut self, name: &str, value: &Value) -> bool {
        let index = self.compile(name);
        self.schemas.validate(value, index).is_ok()
    }
}

#[test]
fn answers_conform_to_the_schemas_in_every_state() {
    let served = served();
    let mut validator = Validator::new();
    let all = get(&served, "/api/breakers");
    validator.check("breakers", &all);
    let conditions: Vec<_> = list(&all["breakers"]).iter().map(|breaker| text(&breaker["condition"])).collect();
    for condition in ["closed", "open", "half-open", "forced-open", "disabled", "observing", "ramping", "hung"] {
        assert!(conditions.iter().any(|other| other == condition), "{condition}: {conditions:?}");
    }
    let sections = schema("breakers")["properties"].as_object().unwrap().clone();
    for (section, _) in sections.iter().filter(|(_, schema)| schema["type"] == "array") {
        let entries = list(&all[section]);
        assert!(!entries.is_empty(), "{section}");
        for entry in entries {
            let item = get(&served, &format!("/api/item?id={}", encode(&text(&entry["id"]))));
            validator.check("item", &item);
            assert_eq!(item["id"], entry["id"]);
        }
    }
    for (path, total) in [
        ("/api/keys?kind=breaker&name=api+hosts", KEYS),
        ("/api/keys?kind=breaker&name=full+hosts", 2),
        ("/api/keys?kind=rate_limit&name=api+rates", 2),
        ("/api/keys?kind=bulkhead&name=api+bulkheads", 1),
    ] {
        let keys = get(&served, path);
        validator.check("keys", &keys);
        assert_eq!([&keys["total"], &keys["matches"]], [total, total], "{path}");
    }
    let history = get(&served, "/api/history?id=breaker+is+open&id=retry+api+retry&id=breaker+none");
    validator.check("history", &history);
    assert_eq!(history["items"].as_object().unwrap().len(), 2);
    assert_eq!(history["items"]["breaker is open"]["changes"][0][1], "open");
    let events = get(&served, "/api/events");
    validator.check("events", &events);
    assert!(list(&events["events"]).iter().any(|event| event["reason"] == "migration"), "{events}");
    let error: Value = crate::client().get(served.url("/api/keys")).send().unwrap().json().unwrap();
    validator.check("error", &error);
}

#[test]
fn the_events_of_the_stream_conform_to_the_schemas() {
    let served = served();
    let mut validator = Validator::new();
    let text = crate::client().get(served.url("/api/live?once=1")).send().unwrap().text().unwrap();
    let mut names: Vec<_> = events(&text)
        .into_iter()
        .map(|(name, data)| {
            validator.check(&format!("live#/$defs/{name}"), &data);
            name
        })
        .collect();
    names.dedup();
    assert_eq!(names, ["start", "rows", "log"]);
}

#[test]
fn the_schemas_reject_unknown_and_missing_fields() {
    let served = served();
    let mut validator = Validator::new();
    let all = get(&served, "/api/breakers");
    let sections = all.as_object().unwrap().iter().filter(|(_, value)| value.is_array());
    for (section, _) in sections {
        let mut more = all.clone();
        more[section][0]["another"] = Value::Null;
        assert!(!validator.accepts("breakers", &more), "{section}");
        let mut less = all.clone();
        less[section][0].as_object_mut().unwrap().remove("last_minute").unwrap();
        assert!(!validator.accepts("breakers", &less), "{section}");
    }
    let item = get(&served, "/api/item?id=breaker+is+open");
    for (field, value) in [("another", Value::Null), ("settings", Value::from("text")), ("state", Value::from("shut"))]
    {
        let mut wrong = item.clone();
        wrong[field] = value;
        assert!(!validator.accepts("item", &wrong), "{field}");
    }
}

/// Returns the type of a field as the page writes it.
fn type_of(schema: &Value) -> String {
    let name = |reference: &Value| {
        let reference = text(reference);
        let name = reference.rsplit('/').next().unwrap().to_owned();
        format!("[{name}](#{name})")
    };
    if let Some(reference) = schema.get("$ref") {
        return name(reference);
    }
    if let Some(any) = schema.get("anyOf") {
        return list(any).iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{constant}`");
    }
    if let Some(values) = schema.get("enum") {
        let value = |value: &Value| value.as_str().map_or_else(|| "null".to_owned(), |value| format!("`{value}`"));
        return list(values).iter().map(value).collect::<Vec<_>>().join(", ");
    }
    match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
        Value::String(array) if array == "array" => {
            let items = &schema["items"];
            match (&items["$ref"], &items["type"]) {
                (reference @ Value::String(_), _) => format!("list of {}", name(reference)),
                (_, Value::String(items)) if items != "array" => format!("list of {items}"),
                _ => "list".to_owned(),
            }
        }
        other => text(other),
    }
}

/// Returns the table of the fields of a schema.
fn table(fields: &Map<String, Value>) -> String {
    let mut table = "| field | type | meaning |\n| --- | --- | --- |\n".to_owned();
    for (field, schema) in fields {
        writeln!(table, "| `{field}` | {} | {} |", type_of(schema), text(&schema["description"])).unwrap();
    }
    table
}

/// Returns the last table below a heading of the page.
fn documented(page: &str, heading: &str) -> String {
    let section = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let table = section.rsplit("\n\n").find(|part| part.starts_with("| field")).unwrap();
    format!("{}\n", table.trim_end())
}

#[test]
fn the_page_describes_every_field_as_its_schema_does() {
    let page = file("docs/api.md");
    let mut checked = 0;
    let mut check = |heading: &str, schema: &Value| {
        let sorted = |table: &str| {
            let mut lines: Vec<_> = table.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let expected = table(schema["properties"].as_object().unwrap());
        assert_eq!(sorted(&documented(&page, heading)), sorted(&expected), "{heading}: write\n{expected}");
        checked += 1;
    };
    for name in ENDPOINTS {
        let schema = schema(name);
        check(&format!("## {}", text(&schema["title"])), &schema);
    }
    for (name, schema) in schema("live")["$defs"].as_object().unwrap() {
        check(&format!("### Event {name}"), schema);
    }
    for (name, schema) in schema("entries")["$defs"].as_object().unwrap() {
        check(&format!("### {name}"), schema);
    }
    assert!(checked > 35, "{checked}");
}
