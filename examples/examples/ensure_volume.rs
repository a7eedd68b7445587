//! Makes sure a volume exists, uses it as a block device, and asks again.
//!
//! Runs in memory: `cargo run -p open-local-examples --example ensure_volume`.

use open_local_core::sim::{Machine, SimBackend};
use open_local_core::{
    Backend, Bytes, ErrorKind, PoolId, PoolSpec, PublishSpec, VolumeId, VolumeSpec,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let machine = Machine::new(1);
    let backend = SimBackend::new(&machine);
    let pool = PoolId::new("fast")?;
    let _ = backend.ensure_pool(&PoolSpec::new(pool.clone()).with_capacity(Bytes::GIB))?;
    let pool = backend.open_pool(&pool)?;

    let id = VolumeId::new("data")?;
    let spec = VolumeSpec::new(id.clone(), "64MiB".parse()?).with_tag("team", "storage");
    let made = pool.ensure_volume(&spec)?;
    println!("{} of {}, made now: {}", made.get().id, made.get().size, made.changed());

    // The same call again changes nothing; the same name with another size is a conflict.
    println!("made again: {}", pool.ensure_volume(&spec)?.changed());
    let other = VolumeSpec::new(id.clone(), "65MiB".parse()?);
    match pool.ensure_volume(&other) {
        Err(error) if error.kind() == ErrorKind::Conflict => println!("{}", error.report()),
        _ => return Err("another size must be a conflict".into()),
    }

    let device = pool.publish(&PublishSpec::new(id.clone()))?.into_inner();
    let block = machine.open(&device)?;
    block.write_at(4096, b"hello")?;
    let mut read = [0; 5];
    block.read_at(4096, &mut read)?;
    println!("{}: {}", device.device.display(), String::from_utf8_lossy(&read));

    drop(block);
    let _ = pool.unpublish(&id.clone().into())?;
    let _ = pool.remove_volume(&id)?;
    Ok(())
}
