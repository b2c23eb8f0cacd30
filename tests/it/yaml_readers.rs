//! The two YAML readers, one for places and one for types, never disagree about a document that
//! validates; what lies outside of the subset is refused at a place.

use lvmend::plan;
use lvmend::plan::document::{Document, RecoverFrom};
use lvmend::plan::problem::Code;
use proptest::collection::vec;
use proptest::prelude::*;

/// How a scalar may be written.
#[derive(Clone, Copy, Debug)]
enum Quotes {
    None,
    Single,
    Double,
}

fn quotes() -> impl Strategy<Value = Quotes> {
    prop_oneof![Just(Quotes::None), Just(Quotes::Single), Just(Quotes::Double)]
}

/// Names that readers of YAML like to take for something else.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]{0,8}",
        prop::sample::select(vec![
            "no",
            "yes",
            "on",
            "off",
            "true",
            "false",
            "null",
            "1.10",
            "0x1f",
            "0o17",
            "017",
            "1e5",
            "1_000",
            "+1",
            ".5",
            ".inf",
            ".nan",
            "2026-11-21",
            "0b1",
            "y",
            "n",
            "0",
        ])
        .prop_map(str::to_owned),
    ]
    .prop_filter("names that LVM allows", |name| {
        let reserved = [
            "_mlog", "_mimage", "_rimage", "_rmeta", "_tdata", "_tmeta", "_cdata", "_cmeta",
            "_cvol", "_pmspare", "_vorigin", "_vdata", "_imeta", "_iorig",
        ];
        !(name.starts_with("snapshot")
            || name.starts_with("pvmove")
            || name == "."
            || name == ".."
            || name.starts_with("lvol")
            || reserved.iter().any(|word| name.contains(word)))
    })
}

fn written(text: &str, quotes: Quotes) -> String {
    match quotes {
        // These three are what they say, for both readers; a name that looks like them is quoted.
        Quotes::None if matches!(text, "null" | "true" | "false") => format!("'{text}'"),
        Quotes::None => text.to_owned(),
        Quotes::Single => format!("'{text}'"),
        Quotes::Double => format!("\"{text}\""),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Block or flow style, with or without quotes: what was meant is what is read.
    #[test]
    fn what_was_meant_is_read(
        vg in name(),
        lvs in prop::collection::btree_map(name(), (name(), any::<u16>(), quotes()), 1..4),
        style in quotes(),
        flow in any::<bool>(),
        indent in 1..5_usize,
        comment in "[ -~]{0,12}",
    ) {
        let pad = " ".repeat(indent);
        let mut text = format!("# {comment}\nversion: 1\nname: p\nvolume_group:\n{pad}name: {}\nlogical_volumes:", written(&vg, style));
        if flow {
            text += " {";
        }
        for (lv, (as_name, seqno, quotes)) in &lvs {
            let (key, renamed) = (written(lv, *quotes), written(as_name, style));
            text += &if flow {
                format!("{key}: {{state: present, recover_as: {renamed}, recover_from: {{seqno: {seqno}}}}}, ")
            } else {
                format!("\n{pad}{key}: # {comment}\n{pad}{pad}state: present\n{pad}{pad}recover_as: {renamed}\n{pad}{pad}recover_from: {{seqno: {seqno}}}")
            };
        }
        text += if flow { "}\n" } else { "\n" };
        let document: Document = match plan::load(text.as_bytes()) {
            Ok(plan) => plan.document,
            Err(problems) => {
                // Two LVs under one name is all that can be wrong with it.
                prop_assert!(problems.iter().all(|p| p.code == Code::Contradiction), "{text}\n{problems:?}");
                return Ok(());
            }
        };
        prop_assert_eq!(document.volume_group.name.as_str(), vg.as_str());
        prop_assert_eq!(document.logical_volumes.len(), lvs.len());
        for (lv, goal) in &document.logical_volumes {
            let (as_name, seqno, _) = &lvs[&lv.to_string()];
            prop_assert_eq!(goal.recover_as.as_ref().unwrap().as_str(), as_name.as_str());
            let RecoverFrom::Version { seqno: found, .. } = &goal.recover_from else { panic!("{text}") };
            prop_assert_eq!(*found, u32::from(*seqno));
        }
    }

    /// Any text built of what YAML is built of: it is read by both alike, or refused at a place.
    #[test]
    fn readers_agree_or_refuse(pieces in vec(prop::sample::select(vec![
        "version: 1\n", "name: p\n", "volume_group: {name: vg}\n", "volume_group:\n  name: vg\n",
        "logical_volumes:\n", "  a: {state: present}\n", "  a:\n    state: present\n", "  'b': ", "{", "}",
        "[", "]", ", ", ": ", "- ", "? ", "&x ", "*x", "!!str ", "|\n  text\n", ">-\n  text\n", "\"", "'",
        "\\n", "#", "\n", "  ", "\t", "---\n", "...\n", "%YAML 1.2\n", "<<: ", "~", "null", "1.10", "é", "\u{85}",
    ]), 0..24)) {
        let text = pieces.concat();
        if let Err(problems) = plan::load(text.as_bytes()) {
            for problem in problems {
                prop_assert!(problem.code != Code::Ambiguous, "{text:?}");
                prop_assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len());
            }
        }
    }
}

#[test]
fn what_lies_outside_of_the_subset_is_refused_where_it_stands() {
    let cases = [
        ("version: 1\nname: &anchor p\n", "&anchor"),
        ("version: 1\nname: *alias\n", "*alias"),
        ("version: 1\nname: !!str p\n", "!!str"),
        ("version: 1\n<<: {name: p}\n", "<<"),
        ("version: 1\n? [a]\n: b\n", "[a]"),
        ("version: 1\n---\nversion: 1\n", "---"),
    ];
    for (text, culprit) in cases {
        let problems = plan::load(text.as_bytes()).unwrap_err();
        let at = text.find(culprit).unwrap();
        let found = problems.iter().any(|problem| {
            let near = problem.span.start.abs_diff(at) <= culprit.len() + 1;
            near && matches!(problem.code, Code::Subset | Code::Syntax)
        });
        assert!(found, "{text:?}: {problems:#?}");
    }
}
