use super::*;
use proptest::prelude::*;

fn tree(text: &str) -> Section {
    parse(text.as_bytes()).unwrap()
}

fn refused(text: &[u8]) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn values_of_every_kind_are_read() {
    let tree = tree(
        "a = 1 b = -7\tc=2.50 # a comment } ]\n d = \"x \\\"y\\\" \\\\ \\z\"\n e = 'a\\b'\n\
         f = [] g = [\"p\", 1 2.0, ] \"odd key\" = 3 s { 1st { } }",
    );
    let value = |key: &str| tree.value(key).unwrap();
    assert_eq!(value("a").as_integer(), Some(1));
    assert_eq!(value("b").as_integer(), Some(-7));
    assert_eq!(value("c"), &Value::Number(Number::new("2.50").unwrap()));
    assert_eq!(value("d").as_str(), Some("x \"y\" \\ \\z"));
    assert_eq!(value("e").as_str(), Some("a\\b"));
    assert_eq!(value("f"), &Value::List(Vec::new()));
    assert_eq!(value("g").items().len(), 3);
    assert_eq!(value("odd key").as_integer(), Some(3));
    assert!(tree.section("s").unwrap().section("1st").is_some());
}

#[test]
fn the_text_ends_at_a_zero_byte() {
    assert_eq!(parse(b"a = 1\0}}}").unwrap(), tree("a = 1"));
}

#[test]
fn strings_that_are_not_utf_8_are_kept() {
    let tree = parse(b"a = \"\xff\\\"\"").unwrap();
    let Some(Value::Bytes(bytes)) = tree.value("a") else { panic!("{tree:?}") };
    assert_eq!(bytes.as_bytes(), b"\xff\"");
    assert_eq!(print(&tree, Style::Raw).unwrap(), b"a = \"\xff\\\"\"\n");
}

#[test]
fn what_is_no_metadata_text_is_refused_with_its_line() {
    for (text, wanted) in [
        ("a", "wanted = or { after a key, found the end"),
        ("\n\na = }", "line 3"),
        ("a = [", "found the end"),
        ("a = [[1]]", "found ["),
        ("a = [,]", "found ,"),
        ("}", "without its {"),
        ("a {", "found the end"),
        ("a = \"x", "no end"),
        ("a = word", "neither a number nor in quotes"),
        ("a = 007", "leading zero"),
        ("a = 9223372036854775808", "64 bits"),
        (&format!("a = 0.{}", "1".repeat(64)), "66 characters"),
        ("= 1", "found ="),
        ("\"\" = 1", "empty key"),
    ] {
        let error = refused(text.as_bytes());
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn depth_length_and_entries_are_bounded() {
    let nested = |depth: usize| "a {".repeat(depth) + &"}".repeat(depth);
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(refused(nested(MAX_DEPTH + 1).as_bytes()).contains("inside each other"));
    assert!(refused(nested(1 << 20).as_bytes()).contains("inside each other"));
    assert!(refused(&vec![b' '; MAX_TEXT + 1]).contains("limit"));
    let list = format!("a = [{}]", "1,".repeat(MAX_ENTRIES));
    assert!(refused(list.as_bytes()).contains("entries"));
}

#[test]
fn a_large_text_is_read() {
    let text =
        format!("a {{\n{}}}", "key = \"a string of some length, to fill it\"\n".repeat(400_000));
    assert!(text.len() > 16 << 20);
    let tree = tree(&text);
    assert_eq!(tree.section("a").unwrap().entries().len(), 400_000);
    assert_eq!(tree.duplicates().len(), 100);
}

#[test]
fn keys_that_stand_twice_are_found_at_any_depth() {
    let twice = tree("a { b { c = 1 d = 2 c { } } } e = 1").duplicates();
    let path = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(twice, [Duplicate { path, key: "c".to_owned() }]);
    assert!(tree("a { x = 1 } b { x = 1 }").duplicates().is_empty());
}

#[test]
fn what_has_no_form_is_not_printed() {
    let with = |entry: Entry| print(&Section(vec![entry]), Style::Raw);
    assert!(with(Entry::value("", 1u32)).is_err());
    assert!(with(Entry::value("a\0", 1u32)).is_err());
    assert!(with(Entry::value("a", "x\0")).is_err());
    let nested = Value::List(vec![Value::List(Vec::new())]);
    assert!(with(Entry::value("a", nested)).is_err());
    let deep =
        (0..=MAX_DEPTH).fold(Section::new(), |inner, _| Section(vec![Entry::section("a", inner)]));
    assert!(print(&deep, Style::Raw).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        "[+-]?[0-9]{1,9}\\.[0-9]{0,9}".prop_map(|text| Value::Number(Number::new(&text).unwrap())),
        "[^\0]{0,20}".prop_map(Value::Text),
        proptest::collection::vec(1u8.., 0..20).prop_map(Value::from_bytes),
    ];
    let list = proptest::collection::vec(single.clone(), 0..5).prop_map(Value::List);
    prop_oneof![3 => single, 1 => list]
}

pub(crate) fn any_section() -> impl Strategy<Value = Section> {
    let key = prop_oneof![3 => "[a-z0-9_.+-]{1,8}", 1 => "[^\0]{1,8}"];
    let leaf = (key.clone(), any_value()).prop_map(|(key, value)| Entry::value(key, value));
    let entries = proptest::collection::vec(leaf, 0..6).prop_map(Section);
    entries.prop_recursive(5, 60, 6, move |inner| {
        let value = (key.clone(), any_value()).prop_map(|(key, value)| Entry::value(key, value));
        let section = (key.clone(), inner).prop_map(|(key, inner)| Entry::section(key, inner));
        proptest::collection::vec(prop_oneof![value, section], 0..6).prop_map(Section)
    })
}

proptest! {
    #[test]
    fn any_bytes_give_a_tree_or_an_error(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }

    #[test]
    fn text_of_the_right_characters_gives_a_tree_or_an_error(
        text in "[a-c01.{}\\[\\]=\"'\\\\#, \n+-]{0,60}",
    ) {
        if let Ok(tree) = parse(text.as_bytes()) {
            let printed = print(&tree, Style::Raw).unwrap();
            prop_assert_eq!(parse(&printed).unwrap(), tree);
        }
    }

    #[test]
    fn what_is_printed_reads_back_to_the_same_tree(tree in any_section()) {
        for style in [Style::Raw, Style::Indented] {
            let text = print(&tree, style).unwrap();
            prop_assert_eq!(&parse(&text).unwrap(), &tree);
        }
    }
}
