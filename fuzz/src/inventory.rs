//! What the inventory reads: messages of the kernel, and expressions of people.

use std::path::Path;

use open_local_core::inventory::{DeviceKind, Filter, Selection, parse_uevent};

/// A message names devices by one component of a path each, so that none leads out of sysfs, and
/// says the same with a property more.
pub(crate) fn uevent(data: &[u8]) {
    let Ok(Some(event)) = parse_uevent(data) else {
        return;
    };
    for name in event.disk.iter().chain([&event.name]) {
        let path = Path::new(name);
        assert_eq!(path.components().count(), 1, "{name:?}");
        assert_eq!(path.file_name(), Some(path.as_os_str()), "{name:?}");
        let _ = DeviceKind::of(name, None);
    }
    let more = [data, b"NOISE=1\0"].concat();
    if let Ok(again) = parse_uevent(&more) {
        assert_eq!(again, Some(event));
    }
}

/// The first line is an expression, the others are names: an expression is refused with a remedy,
/// or excludes what it includes, and selects sorted names.
pub(crate) fn device_filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let expression = lines.next().unwrap_or_default();
    let names: Vec<&str> = lines.collect();
    let filter = match Filter::new(&[expression], &[""; 0]) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(error.remedy().is_some(), "{error}");
            return;
        }
    };
    let chosen = filter.select(names.iter().copied());
    assert!(chosen.is_sorted());
    let without = Filter::all_but(&[expression]).unwrap();
    for name in names {
        let is_chosen = chosen.contains(&name);
        assert_eq!(filter.judge(name) == Selection::Chosen, is_chosen);
        assert_eq!(without.judge(name) == Selection::Excluded(expression), is_chosen);
    }
}
