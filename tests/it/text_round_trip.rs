//! Texts are written and read back the same, whatever stands in them; and the same as by a writer
//! as plain as can be.

use std::borrow::Cow;

use lvmend::text::parser::parse;
use lvmend::text::tree::{Body, Entry, Section, Value};
use lvmend::text::write::{DeviceHints, write_vg};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::properties::config;

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        any::<u32>().prop_map(|n| Value::integer(u64::from(n))),
        "[ -~]{0,12}".prop_map(|text| Value::Text(Cow::Owned(text.into_bytes()))),
        vec(1..=255_u8, 0..6).prop_map(|bytes| Value::Text(Cow::Owned(bytes))),
    ];
    let item = leaf.clone();
    prop_oneof![3 => leaf, 1 => vec(item, 0..4).prop_map(Value::List)]
}

fn section() -> impl Strategy<Value = Section<'static>> {
    let key = "[a-z_][a-z0-9_]{0,8}".prop_map(|key| Cow::Owned(key.into_bytes()));
    let leaf = vec((key.clone(), value()), 0..5).prop_map(|values| Section {
        entries: values.into_iter().map(|(key, v)| Entry { key, body: Body::Value(v) }).collect(),
    });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        vec(
            (
                key.clone(),
                prop_oneof![value().prop_map(Body::Value), inner.prop_map(Body::Section)],
            ),
            0..5,
        )
        .prop_map(|entries| Section {
            entries: entries.into_iter().map(|(key, body)| Entry { key, body }).collect(),
        })
    })
}

/// A writer as plain as can be: one line for each thing.
fn plainly(section: &Section<'_>, out: &mut Vec<u8>) {
    for entry in &section.entries {
        out.extend_from_slice(&entry.key);
        match &entry.body {
            Body::Section(inner) => {
                out.extend_from_slice(b" {\n");
                plainly(inner, out);
                out.extend_from_slice(b"}\n");
            }
            Body::Value(value) => {
                out.extend_from_slice(b" = ");
                plain_value(value, out);
                out.push(b'\n');
            }
        }
    }
}

fn plain_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Integer(text) | Value::Float(text) | Value::Word(text) => {
            out.extend_from_slice(text);
        }
        Value::Text(text) => {
            out.push(b'"');
            for byte in text.iter() {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
            out.push(b'"');
        }
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                plain_value(item, out);
            }
            out.push(b']');
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// What is written says what was there, and what a plain writer would say.
    #[test]
    fn texts_are_written_and_read_back_the_same(vg in section()) {
        let mut written = Vec::new();
        write_vg(&mut written, b"vg", &vg, DeviceHints::Keep);
        let read = parse(&written).unwrap();
        prop_assert_eq!(read.section("vg"), Some(&vg));
        let mut plain = b"vg {\n".to_vec();
        plainly(&vg, &mut plain);
        plain.extend_from_slice(b"}\n");
        let plainly_read = parse(&plain).unwrap();
        prop_assert_eq!(plainly_read.section("vg"), Some(&vg));
    }
}
