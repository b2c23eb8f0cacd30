//! The structure of a document, judged by its JSON Schema: every problem at once, each at its
//! place, in our own words.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors belong to the validator; those without words of their own share one"
)]

use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::ids::ForeignText;
use crate::plan::document::Document;
use crate::plan::problem::{Code, Problem, Span};
use crate::plan::suggest::nearest;
use crate::plan::yaml::Tree;

/// The JSON Schema of plan documents.
pub fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<Document>().to_value();
    drop_null_defaults(&mut schema);
    schema
}

/// A key that may be left out has no default; null is not a value of a plan.
fn drop_null_defaults(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            entries.retain(|key, value| key != "default" || !value.is_null());
            entries.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_defaults),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema, ready to judge documents; or why it cannot.
static JUDGE: LazyLock<Result<(Value, Validator), String>> = LazyLock::new(|| {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    Ok((schema, validator))
});

/// Everything about the structure that is not as the schema says.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    match &*JUDGE {
        Ok((schema, validator)) => collect(tree, schema, validator),
        Err(error) => {
            let message = format!("BUG: the schema of plans is broken: {error}");
            vec![Problem::at_start(Code::Types, message)]
        }
    }
}

fn collect(tree: &Tree, schema: &Value, validator: &Validator) -> Vec<Problem> {
    let json = tree.json();
    let mut problems = Vec::new();
    for error in validator.iter_errors(&json) {
        describe(&Context { tree, schema, json: &json }, &error, &mut problems);
    }
    problems.dedup();
    problems
}

struct Context<'a> {
    tree: &'a Tree,
    schema: &'a Value,
    json: &'a Value,
}

/// The steps of a JSON pointer.
fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

fn describe(context: &Context<'_>, error: &ValidationError<'_>, problems: &mut Vec<Problem>) {
    let path = steps(error.instance_path().as_str());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let value_span = context.tree.value_span(&path);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            if is_map_of_names(&path) {
                problems.extend(unexpected.iter().map(|key| bad_name(context, &path, key)));
                return;
            }
            let known = known_keys(context, error.schema_path().as_str());
            for key in unexpected {
                let mut inner = path.clone();
                inner.push(key);
                problems.push(unknown_key(key, &known, context.tree.key_span(&inner)));
            }
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let message = format!("`{key}` is missing in {}", place(&path));
            problems.push(Problem::new(Code::MissingKey, message, value_span));
        }
        ValidationErrorKind::Type { kind } => {
            problems.push(wrong_type(kind, &path, context, value_span));
        }
        ValidationErrorKind::Enum { options } => {
            problems.push(unknown_value(error.instance(), &words(options), value_span));
        }
        ValidationErrorKind::Constant { expected_value } => {
            problems.push(not_the_constant(&path, error.instance(), expected_value, value_span));
        }
        ValidationErrorKind::PropertyNames { error: inner } => {
            let key = inner.instance().as_str().unwrap_or_default();
            problems.push(bad_name(context, &path, key));
        }
        ValidationErrorKind::OneOfNotValid { context: branches }
        | ValidationErrorKind::AnyOf { context: branches } => {
            one_of(context, &path, branches, value_span, problems);
        }
        _ => {
            let message = format!("{} cannot be {}", place(&path), shown(error.instance()));
            let help = value_help(&path);
            let problem = Problem::new(Code::BadValue, message, value_span);
            problems.push(match help {
                Some(help) => problem.with_help(help),
                None => problem,
            });
        }
    }
}

/// Whether the keys at this path are names of objects, not words of the format.
fn is_map_of_names(path: &[&str]) -> bool {
    matches!(path, ["physical_volumes" | "logical_volumes"])
}

fn bad_name(context: &Context<'_>, path: &[&str], key: &str) -> Problem {
    let mut inner: Vec<&str> = path.to_vec();
    inner.push(key);
    let message = format!("`{}` cannot be a key here", ForeignText::from(key));
    let span = context.tree.key_span(&inner);
    Problem::new(Code::BadValue, message, span).with_help(key_help(path))
}

fn not_the_constant(path: &[&str], found: &Value, expected: &Value, span: Span) -> Problem {
    if std::mem::discriminant(found) == std::mem::discriminant(expected) {
        return unknown_value(found, &[shown(expected)], span);
    }
    let what = place(path);
    let found = kind_shown(found);
    let message = format!("{what} must be {}, found {found}", shown(expected));
    Problem::new(Code::WrongType, message, span)
}

/// What a key of this path is for, in words.
fn place(path: &[&str]) -> String {
    match path.last() {
        None => "the document".to_owned(),
        Some(last) if last.bytes().all(|b| b.is_ascii_digit()) && path.len() > 1 => {
            let number = last.parse::<usize>().map_or(0, |index| index + 1);
            format!("item {number} of {}", place(path.get(..path.len() - 1).unwrap_or(&[])))
        }
        Some(last) => format!("`{}`", ForeignText::from(*last)),
    }
}

fn key_help(path: &[&str]) -> &'static str {
    match path.first() {
        Some(&"physical_volumes") => {
            "write the PV's UUID, such as Pes61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd, or \"*\""
        }
        _ => "LVM allows letters, digits and `.` `_` `+` `-`, not in front",
    }
}

fn value_help(path: &[&str]) -> Option<&'static str> {
    match path.last() {
        Some(&"uuid") => Some("an LVM UUID looks like Pes61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd"),
        Some(&"digest") if path.first() == Some(&"checks") => {
            Some("write 64 hexadecimal digits, as `sha256sum` prints them")
        }
        Some(&"digest") => Some("write hexadecimal digits, as `lvmend history list` shows them"),
        Some(&"wait") => Some("write a time with its unit: 30s, 2m, 1h"),
        Some(&"seqno") => {
            Some("a seqno is a whole number from 0, as `lvmend history list` shows it")
        }
        _ => None,
    }
}

fn unknown_key(key: &str, known: &[String], span: Span) -> Problem {
    let message = format!("unknown key `{}`", ForeignText::from(key));
    let problem = Problem::new(Code::UnknownKey, message, span);
    match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem,
        None => problem.with_help(format!("known here: {}", known.join(", "))),
    }
}

/// The keys that the schema object holds whose `additionalProperties` refused one.
fn known_keys(context: &Context<'_>, schema_path: &str) -> Vec<String> {
    let object = schema_path.rsplit_once('/').map_or("", |(object, _)| object);
    let mut at = context.schema;
    for step in steps(object) {
        let next = match step.as_str() {
            "$ref" => at
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| context.schema.pointer(reference.trim_start_matches('#'))),
            step => at.get(step).or_else(|| at.get(step.parse::<usize>().ok()?)),
        };
        match next {
            Some(next) => at = next,
            None => return Vec::new(),
        }
    }
    let properties = at.get("properties").and_then(Value::as_object);
    properties.map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

fn wrong_type(kind: &TypeKind, path: &[&str], context: &Context<'_>, span: Span) -> Problem {
    let expected = match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            if kinds.iter().any(|kind| kind == "string") {
                "string".to_owned()
            } else {
                kinds.join(" or ")
            }
        }
    };
    let found = context.json.pointer(&pointer(path)).map_or("nothing", kind_shown);
    let message = format!("{} must be {}, found {found}", place(path), expected_shown(&expected));
    let problem = Problem::new(Code::WrongType, message, span);
    match (expected.as_str(), found) {
        _ if path.last() == Some(&"wait") => {
            value_help(path).into_iter().fold(problem, Problem::with_help)
        }
        ("string", "nothing (null)") => {
            problem.with_help("an empty value means null; quote it to mean the text")
        }
        _ => problem,
    }
}

fn pointer(path: &[&str]) -> String {
    let steps: Vec<String> = path.iter().map(|step| escaped(step)).collect();
    if steps.is_empty() { String::new() } else { format!("/{}", steps.join("/")) }
}

fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

fn expected_shown(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping of keys to values",
        other => other,
    }
}

fn kind_shown(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (null)",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", ForeignText::from(text.as_str())),
        Value::Array(_) | Value::Object(_) => kind_shown(value).to_owned(),
        other => format!("`{other}`"),
    }
}

fn words(options: &Value) -> Vec<String> {
    options.as_array().map(|all| all.iter().map(shown).collect()).unwrap_or_default()
}

fn unknown_value(found: &Value, options: &[String], span: Span) -> Problem {
    let message = format!("unknown value {}", shown(found));
    let problem = Problem::new(Code::UnknownValue, message, span);
    let bare: Vec<&str> = options.iter().map(|option| option.trim_matches('`')).collect();
    match found.as_str().and_then(|text| nearest(text, bare)) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help(format!("possible: {}", options.join(", "))),
    }
}

/// Of several shapes a value may have, reports on the one that was most likely meant.
fn one_of(
    context: &Context<'_>,
    path: &[&str],
    branches: &[Vec<ValidationError<'static>>],
    span: Span,
    problems: &mut Vec<Problem>,
) {
    let mut keywords: Vec<String> = Vec::new();
    let mut constants = Vec::new();
    for error in branches.iter().flatten() {
        match error.kind() {
            ValidationErrorKind::Constant { expected_value } => {
                constants.push(shown(expected_value));
            }
            ValidationErrorKind::Enum { options } => constants.extend(words(options)),
            ValidationErrorKind::Required { property }
                if error.instance_path().as_str().is_empty()
                    || steps(error.instance_path().as_str()).len() == path.len() =>
            {
                keywords.extend(property.as_str().map(str::to_owned));
            }
            _ => {}
        }
    }
    // A branch that failed only deeper down has the right shape: its own errors say more.
    let is_deeper = |error: &ValidationError<'_>| {
        let depth = steps(error.instance_path().as_str()).len();
        let is_shape = matches!(error.kind(), ValidationErrorKind::Required { .. });
        depth > path.len() || (depth == path.len() && !is_shape && is_object_error(error))
    };
    let best = branches.iter().find(|errors| !errors.is_empty() && errors.iter().all(is_deeper));
    if let Some(errors) = best {
        for error in errors {
            describe(context, error, problems);
        }
        return;
    }
    let found = context.json.pointer(&pointer(path)).unwrap_or(&Value::Null);
    if keywords.is_empty() && !constants.is_empty() && found.is_string() {
        problems.push(unknown_value(found, &constants, span));
        return;
    }
    keywords.sort();
    keywords.dedup();
    let mut options = constants;
    options.extend(keywords.iter().map(|key| format!("a mapping with `{key}`")));
    let message = format!("{} has none of the shapes it may have", place(path));
    let problem = Problem::new(Code::UnknownValue, message, span);
    problems.push(if options.is_empty() {
        problem
    } else {
        problem.with_help(format!("possible: {}", options.join(", ")))
    });
}

fn is_object_error(error: &ValidationError<'_>) -> bool {
    matches!(
        error.kind(),
        ValidationErrorKind::AdditionalProperties { .. }
            | ValidationErrorKind::PropertyNames { .. }
    )
}
