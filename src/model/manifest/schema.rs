//! The JSON Schema of the manifest, for editors: made from the same descriptions as the checks.

use serde_json::{Map, Value, json};

use super::{
    keys::ROOT,
    shape::{Field, Kind, Names, Shape},
};

/// Draft-07, flat: every table with known keys is one definition; no `allOf`, no recursion.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut root = table(&ROOT, true, &mut definitions);
    let head = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": ROOT.name,
    });
    let mut whole = match head {
        Value::Object(it) => it,
        _ => Map::new(),
    };
    if let Value::Object(root) = &mut root {
        whole.append(root);
    }
    whole.insert("definitions".into(), Value::Object(definitions));
    Value::Object(whole)
}

/// `whole`: not an override, so what is required must be there.
fn table(shape: &'static Shape, whole: bool, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in shape.fields {
        properties.insert(field.name.into(), property(field, whole, definitions));
    }
    let required: Vec<&str> = shape.fields.iter().filter(|it| it.required && whole).map(|it| it.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.about,
        "properties": properties,
        "additionalProperties": shape.open,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(field: &'static Field, whole: bool, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = kind(&field.kind, whole, definitions);
    let later = if field.later { " Not supported yet." } else { "" };
    // Beside a `$ref`, draft-07 ignores every other keyword; the definition has its own description.
    if schema.get("$ref").is_none() {
        schema["description"] = json!(format!("{}{later}", field.about));
    }
    schema
}

/// A pattern for text with something in it, in one line.
const LABEL: &str = "^[^\\u0000-\\u001F\\u007F]*[^\\s\\u0000-\\u001F\\u007F][^\\u0000-\\u001F\\u007F]*$";
const DURATION: &str = "^\\s*([0-9]+(ms|s|m|h|d|w)\\s*)+$";

fn kind(of: &Kind, whole: bool, definitions: &mut Map<String, Value>) -> Value {
    match of {
        Kind::Text => json!({"type": "string"}),
        Kind::Filled => json!({"type": "string", "minLength": 1}),
        Kind::Label => json!({"type": "string", "pattern": LABEL}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Count(i64::MIN, _) => json!({"type": "integer"}),
        Kind::Count(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Number => json!({"type": "number"}),
        Kind::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Kind::Duration => json!({"type": "string", "pattern": DURATION}),
        Kind::Choice(choice) => {
            json!({"type": "string", "enum": choice.now.iter().chain(choice.later).collect::<Vec<_>>()})
        }
        // Overrides replace lists, so what is in them is whole.
        Kind::List(of) => json!({"type": "array", "items": kind(of, true, definitions)}),
        Kind::FilledList(of) => json!({"type": "array", "minItems": 1, "items": kind(of, true, definitions)}),
        Kind::Either(them) => json!({"anyOf": them.iter().map(|it| kind(it, whole, definitions)).collect::<Vec<_>>()}),
        Kind::Map(of) => json!({"type": "object", "additionalProperties": kind(of, whole, definitions)}),
        Kind::Table(shape) => reference(shape, whole, definitions),
        Kind::Named(names, shape) => json!({
            "type": "object",
            "propertyNames": {"pattern": match names {
                Names::Keys => "^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_-]+)*$",
                Names::Words => "^[A-Za-z0-9_][A-Za-z0-9_-]*$",
            }},
            "additionalProperties": reference(shape, whole, definitions),
        }),
        Kind::Variable => json!({"type": ["string", "number", "boolean", "array", "object"]}),
    }
}

fn reference(shape: &'static Shape, whole: bool, definitions: &mut Map<String, Value>) -> Value {
    let whole = whole && shape.name != TARGET;
    let partial = !whole && shape.fields.iter().any(|it| it.required);
    let name = if partial { format!("{}_override", shape.name) } else { shape.name.to_owned() };
    if !definitions.contains_key(&name) {
        let made = table(shape, whole, definitions);
        definitions.insert(name.clone(), made);
    }
    json!({"$ref": format!("#/definitions/{name}")})
}

/// Below it everything is an override.
const TARGET: &str = "target";
