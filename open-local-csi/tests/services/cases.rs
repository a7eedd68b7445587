//! Every case of the error tables of the specification (version 1.12), a test each.
//!
//! A case is a call, the condition that the table names, and the code it demands. What the
//! specification says of all calls (missing and unsupported fields, an operation under way, a call
//! that is not claimed) is a case of each call it applies to.

mod controller;
mod create;
mod groups;
mod identity;
mod node;
mod publish;
mod snapshots;

use open_local_csi::{Answer, Code, Rpc};

use crate::lab::{Lab, code};

/// A row of a table.
pub(crate) struct Case {
    pub(crate) rpc: Rpc,
    pub(crate) name: &'static str,
    pub(crate) condition: &'static str,
    /// The code; `None` is OK.
    pub(crate) wanted: Option<Code>,
    pub(crate) run: fn(&Lab) -> Answer<()>,
}

impl Case {
    pub(crate) fn check(&self, lab: &Lab) {
        let answer = (self.run)(lab);
        assert_eq!(code(&answer), self.wanted, "{}: {}: {answer:?}", self.rpc, self.condition);
        assert_eq!(lab.driver.in_flight(), 0, "{}: {}", self.rpc, self.condition);
    }
}

/// Cases, each with a test of its name.
macro_rules! cases {
    (@code OK) => { None };
    (@code $code:ident) => { Some(open_local_csi::Code::$code) };
    ($($rpc:ident $name:ident $code:ident $condition:literal $run:expr;)*) => {
        pub(crate) const CASES: &[$crate::cases::Case] = &[$($crate::cases::Case {
            rpc: open_local_csi::Rpc::$rpc,
            name: stringify!($name),
            condition: $condition,
            wanted: cases!(@code $code),
            run: $run,
        },)*];
        $(
            #[test]
            fn $name() {
                let case = CASES.iter().find(|case| case.name == stringify!($name));
                $crate::lab::run(case.unwrap());
            }
        )*
    };
}
pub(crate) use cases;

/// All cases, by module.
const ALL: [&[Case]; 7] = [
    identity::CASES,
    create::CASES,
    controller::CASES,
    snapshots::CASES,
    groups::CASES,
    node::CASES,
    publish::CASES,
];

#[test]
fn the_list_of_cases() {
    let all: Vec<&Case> = ALL.iter().copied().flatten().collect();
    for case in &all {
        let wanted = case.wanted.map_or("OK", Code::as_str);
        println!("{}\t{}\t{wanted}", case.rpc, case.condition);
    }
    let lacking: Vec<&Rpc> =
        Rpc::ALL.iter().filter(|rpc| all.iter().all(|case| case.rpc != **rpc)).collect();
    println!("{} cases of the specification, of {} calls", all.len(), Rpc::ALL.len());
    assert!(lacking.is_empty(), "calls without a case: {lacking:?}");
}
