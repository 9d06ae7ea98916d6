//! The JSON Schema of policy texts, for editors. The reader's own checks go further.

/// JSON Schema (draft 2020-12) of a policy text.
pub const SCHEMA: &str = include_str!("../../policy.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::SCHEMA;
    use crate::policy::text::{MAX_ENTRIES, SECTIONS};
    use crate::policy::{Checkpoints, NetworkDefault, PROFILES};
    use crate::report::Protection;

    fn schema() -> Value {
        serde_json::from_str(SCHEMA).expect("the schema is JSON")
    }

    fn strings(value: &Value) -> BTreeSet<&str> {
        value.as_array().expect("a list").iter().map(|text| text.as_str().expect("text")).collect()
    }

    /// Every object with named properties: its path in the document and its keys.
    fn objects(at: &str, node: &Value, found: &mut Vec<(String, BTreeSet<String>)>) {
        let Some(properties) = node.get("properties").and_then(Value::as_object) else { return };
        assert_eq!(node["additionalProperties"], Value::Bool(false), "{at} takes unknown keys");
        found.push((at.to_owned(), properties.keys().cloned().collect()));
        for (key, value) in properties {
            assert!(value["description"].is_string(), "{at}.{key} has no description");
            objects(format!("{at}.{key}").trim_start_matches('.'), value, found);
        }
    }

    #[test]
    fn the_schema_and_the_reader_have_the_same_keys() {
        let mut found = Vec::new();
        objects("", &schema(), &mut found);
        let read = SECTIONS.iter().map(|(section, keys)| {
            ((*section).to_owned(), keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>())
        });
        found.sort();
        let mut read: Vec<_> = read.collect();
        read.sort();
        assert_eq!(found, read);
    }

    #[test]
    fn the_schema_lists_the_names_that_the_reader_takes() {
        let schema = schema();
        let top = &schema["properties"];
        assert_eq!(strings(&top["extends"]["enum"]), PROFILES.iter().map(|(name, _)| *name).collect());
        let enforcement = &top["enforcement"]["properties"];
        let names = Protection::ALL.iter().map(|protection| protection.name()).collect();
        assert_eq!(strings(&enforcement["accept_degraded"]["items"]["enum"]), names);
        assert_eq!(strings(&enforcement["isolation"]["enum"]), BTreeSet::from(["landlock", "namespaces", "strongest"]));
        let workspace = &top["filesystem"]["properties"]["workspace"]["enum"];
        assert_eq!(strings(workspace), BTreeSet::from(["read-only", "write"]));
        let defaults = NetworkDefault::ALL.iter().map(|default| default.name()).collect();
        assert_eq!(strings(&top["network"]["properties"]["default"]["enum"]), defaults);
        let checkpoints = Checkpoints::ALL.iter().map(|when| when.name()).collect();
        assert_eq!(strings(&top["sandbox"]["properties"]["checkpoint"]["enum"]), checkpoints);
        assert_eq!(top["filesystem"]["properties"]["read"]["maxItems"], MAX_ENTRIES);
    }
}
