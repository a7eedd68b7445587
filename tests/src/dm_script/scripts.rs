//! The scripts.

/// Every script with its name. `disk` is a disk of 64 MiB that begins with zeroes; each script
/// removes what it makes.
pub const ALL: [(&str, &str); 7] = [
    ("tables", TABLES),
    ("stacks", STACKS),
    ("data", DATA),
    ("pool", POOL),
    ("messages", MESSAGES),
    ("full", FULL),
    ("metadata", METADATA),
];

/// Devices without and with tables, and tables that are refused.
const TABLES: &str = "
info a
create a uuid-a
create a
create b uuid-a
table a
status a
deps a
message a hello
resume a
suspend a
suspend a
resume a
load a 0 100 linear disk 0
info a
table a
load a 8 100 linear disk 0
load a 0 0 linear disk 0
load a 0 8 nosuch disk 0
load a 0 8 linear 250:99 0
load a 0 8 linear disk 0 / 16 8 linear disk 0
load a 0 96 striped 2 8 disk 0 disk 1024
load a 0 100 striped 2 8 disk 0 disk 1024
load a 0 96 striped 2 4 disk 0 disk 1024
clear a
clear a
load a 0 2048 linear disk 0
resume a
table a
status a
deps a
load a 0 4096 linear disk 0
info a
clear a
load a 0 99999999999 linear disk 0
resume a
info a
load a 0 4096 linear disk 0
resume a
message a foo bar
loadro a 0 4096 linear disk 0
resume a
write a 0 4 1
load a 0 4096 linear disk 0
resume a
rename a a
create b
rename a b
rename a c
remove a
info c
remove b
suspend c
rename c d
remove d
create e
load e 0 8 linear disk 131064
load e 0 8 linear disk 131065
load e 0 8 error
resume e
table e
status e
read e 0 4
load e 0 8 zero
resume e
status e
read e 0 4
remove e
";

/// Devices above devices: who has what open.
const STACKS: &str = "
make low 0 4096 linear disk 0
create top
load top 0 2048 linear low 0
info low
resume top
deps top
remove low
load top 0 1024 linear low 0
info low
loadro top 0 1024 linear low 0
info low
resume top
info low
info top
hold low
hold top
info top
remove top
load low 0 8192 linear disk 0
resume low
release top
create second
load second 0 8 linear top 0
info top
hold top
remove second
hold top
load second 0 8 linear top 0
release top
remove top
remove low
quick low
resume low
remove low
";

/// Data goes where tables say, before and after they change.
const DATA: &str = "
make a 0 256 linear disk 0 / 256 256 linear disk 1024
write a 124 8 5
read a 124 8
read a 0 4
make b 0 8 linear disk 248
read b 0 4
make c 0 256 striped 2 64 disk 2048 disk 4096
status c
write c 32 32 7
read c 0 32
read c 32 32
load a 0 256 linear disk 1024
resume a
read a 0 4
read a 124 4
read a 128 4
remove a
remove b
remove c
";

/// A pool, its volumes, and snapshots of them.
const POOL: &str = "
make m 0 8192 linear disk 0
write m 0 4 0
make t 0 32768 linear disk 8192
create p
loadro p 0 32768 thin-pool m t 128 0
load p 0 32768 thin-pool m t 100 0
load p 0 32768 thin-pool m t 64 0
load p 0 32768 thin-pool m m 128 0
load p 0 32769 thin-pool m t 128 0
load p 0 32768 thin-pool m t 128 0
info m
info t
resume p
status p
table p
deps p
create q
load q 0 32768 thin-pool m t 128 0
remove q
load p 0 32768 linear t 0
message p create_thin 0
create v
load v 0 4096 thin p 5
load v 0 4096 thin disk 0
load v 0 4096 thin p 0
info p
resume v
info p
status v
table v
read v 0 64
write v 0 64 1
write v 68 4 2
read v 64 4
read v 68 4
status v
status p
message p delete 0
suspend v
message p create_snap 1 0
resume v
make s 0 4096 thin p 1
write v 0 4 9
read v 0 4
read v 4 60
read s 0 64
status p
status v
status s
write s 64 4 8
read v 68 4
read s 68 4
status p
quick v
load v 0 65536 thin p 0
resume v
info v
read v 68 4
discard v 0 64
read v 0 64
status v
status p
discard v 68 60
status v
remove p
remove s
message p delete 1
status p
remove v
suspend p
status p
message p create_thin 3
resume p
remove p
make p 0 32768 thin-pool m t 128 0 2 skip_block_zeroing ignore_discard
status p
table p
make v 0 4096 thin p 0
read v 68 4
discard v 64 64
status v
remove v
remove p
write m 0 4 0
remove m
remove t
";

/// What the pool answers to messages.
const MESSAGES: &str = "
make m 0 8192 linear disk 0
write m 0 4 0
make t 0 32768 linear disk 8192
make p 0 32768 thin-pool m t 128 0
message p create_thin 0
message p create_thin 0
message p create_thin 16777215
message p create_thin 16777216
message p create_thin
message p create_thin 1 2
message p create_thin x
message p create_snap 1 9
message p create_snap 0 0
message p create_snap 1 0
message p create_snap 1
message p delete 7
message p set_transaction_id 1 2
message p set_transaction_id 0 7
message p set_transaction_id 7 7
message p nonsense
status p
make v 0 4096 thin p 0
message p delete 0
message v delete 0
create w
load w 0 4096 thin p 0
message p delete 0
remove v
message p delete 0
remove w
message p delete 0
load p 0 32768 thin-pool m t 128 0
message p create_thin 4
resume p
status p
remove p
write m 0 4 0
remove m
remove t
";

/// A pool that is full, and grows.
const FULL: &str = "
make m 0 8192 linear disk 0
write m 0 4 0
make t 0 4096 linear disk 8192
make p 0 4096 thin-pool m t 128 4 1 error_if_no_space
message p create_thin 1
message p create_thin 2
make v 0 65536 thin p 1
make s 0 65536 thin p 2
write v 0 1024 1
status p
info p
write v 1024 896 2
info p
write s 0 64 3
status p
info p
write s 64 64 3
status p
info p
read s 64 64
write s 128 64 6
status p
info p
read s 128 64
write s 0 4 4
message p create_thin 8
message p create_snap 9 1
message p delete 8
message p delete 9
load t 0 8192 linear disk 8192
resume t
status p
load p 0 8192 thin-pool m t 128 4 1 error_if_no_space
resume p
status p
info p
write s 64 64 5
status p
read v 0 1024
read s 0 4
load p 0 2048 thin-pool m t 128 0
resume p
info p
load p 0 8192 thin-pool m t 128 0
resume p
info p
status p
discard v 0 1024
flush v
status p
remove v
remove s
remove p
make p 0 8192 thin-pool m t 128 0
status p
make s 0 65536 thin p 2
read s 64 64
remove s
remove p
write m 0 4 0
remove m
remove t
";

/// A metadata device that grows, is emptied, or holds something else.
const METADATA: &str = "
make m 0 4096 linear disk 0
write m 0 4 0
make t 0 4096 linear disk 8192
make p 0 4096 thin-pool m t 128 0
status p
message p create_thin 1
message p set_transaction_id 0 3
load m 0 8192 linear disk 0
resume m
load p 0 4096 thin-pool m t 128 0
resume p
status p
remove p
create p
load p 0 4096 thin-pool m t 256 0
load p 0 4096 thin-pool m t 128 0
resume p
status p
remove p
write m 0 4 0
make p 0 4096 thin-pool m t 128 0
status p
remove p
write m 0 4 7
create p
load p 0 4096 thin-pool m t 128 0
remove p
write m 0 4 0
remove m
remove t
";
