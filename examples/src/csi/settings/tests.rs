use super::*;

fn layer(texts: &[(&'static str, &str)]) -> Layer {
    let mut layer = Layer::default();
    for (name, text) in texts {
        layer.add(name, *text, Source::Flag);
    }
    layer
}

fn read(texts: &[(&'static str, &str)]) -> Result<Settings> {
    Settings::read(&layer(&[&[("node-id", "n")], texts].concat()))
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let variables = |name: &str| match name {
        "OPEN_LOCAL_CSI_NODE_ID" => Some("environment".to_owned()),
        "OPEN_LOCAL_CSI_POOL" => Some("a=sim; b=sim ;".to_owned()),
        "OPEN_LOCAL_CSI_MODE" => Some("central".to_owned()),
        "MAX_VOLUMES_PERNODE" => Some("256".to_owned()),
        _ => None,
    };
    let mut file = Layer::default();
    for (name, text) in [("mode", "node"), ("workers", "3"), ("node-id", "file")] {
        file.add(name, text, Source::File("/c".into(), 1));
    }
    let flags = layer(&[("node-id", "flag")]);
    let settings =
        Settings::read(&flags.over(Layer::of_environment(variables)).over(file)).unwrap();
    assert_eq!(settings.config.node, "flag");
    assert_eq!(settings.config.mode, Mode::Central);
    assert_eq!(settings.config.max_volumes, 256);
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.pools.len(), 2);
}

#[test]
fn a_complaint_names_the_option_its_text_and_where_it_stood() {
    let mut wrong = layer(&[("node-id", "n")]);
    wrong.add("grace", "soon", Source::File("/c.yaml".into(), 4));
    let error = Settings::read(&wrong).unwrap_err();
    let said = error.to_string();
    for part in ["grace", "/c.yaml, line 4", "soon"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(error.remedy().unwrap().contains("30s"));
    for (name, text) in [
        ("workers", "0"),
        ("workers", "many"),
        ("mode", "both"),
        ("endpoint", "tcp://1.2.3.4:5"),
        ("topology", "="),
        ("topology", "zone="),
        ("driver-name", "-"),
        ("default-fs", "ntfs"),
        ("kubelet-dir", "kubelet"),
        ("metrics-address", "localhost:1"),
        ("inline-size", "big"),
        ("interval", "2h"),
    ] {
        let error = read(&[(name, text)]).unwrap_err();
        assert!(error.remedy().is_some(), "{name}");
    }
    let missing = Settings::read(&Layer::default()).unwrap_err();
    assert!(missing.remedy().unwrap().contains("--node-id"));
}

#[test]
fn a_topology_that_the_node_denies_is_refused_naming_both() {
    read(&[("topology", "zone=a"), ("node-topology", "a")]).unwrap();
    read(&[("node-topology", "n")]).unwrap();
    let error = read(&[("topology", "host-a"), ("node-topology", "host-b")]).unwrap_err();
    let said = error.message();
    assert!(said.contains("host-a") && said.contains("host-b"), "{said}");
}

proptest::proptest! {
    #[test]
    fn any_texts_are_settings_or_an_error_that_says_what_to_write(
        texts in proptest::collection::vec((0..OPTIONS.len(), "[ -~]{0,24}"), 0..6),
    ) {
        let mut layer = layer(&[("node-id", "n")]);
        for (at, text) in texts {
            layer.add(OPTIONS[at].0, text, Source::Flag);
        }
        if let Err(error) = Settings::read(&layer) {
            proptest::prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            proptest::prop_assert!(error.remedy().is_some());
        }
    }
}

#[test]
fn both_names_of_the_driver_are_served() {
    use open_local_csi::service::LEGACY_DRIVER_NAME;
    assert_eq!(read(&[]).unwrap().config.driver_name, DRIVER_NAME);
    let legacy = read(&[("driver-name", LEGACY_DRIVER_NAME)]).unwrap();
    assert_eq!(legacy.config.driver_name, LEGACY_DRIVER_NAME);
}
