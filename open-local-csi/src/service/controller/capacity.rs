//! How much room there is.

use open_local_core::Bytes;

use crate::errors::Answer;
use crate::proto::{GetCapacityRequest, GetCapacityResponse};
use crate::request::GetCapacity;
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// The room for volumes of a class, and the largest one that would really be granted.
    ///
    /// Room that is kept free for claims which were planned and have not come yet is not counted,
    /// nor is a pool that can't be read.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for parameters that no volume could have.
    pub fn get_capacity(&self, request: &GetCapacityRequest) -> Answer<GetCapacityResponse> {
        self.on_node(Rpc::GetCapacity)?;
        let request = GetCapacity::read(request)?;
        if request.place.as_ref().is_some_and(|place| !self.config.topology.is(place)) {
            return Ok(GetCapacityResponse {
                maximum_volume_size: Some(0),
                ..GetCapacityResponse::default()
            });
        }
        let (mut available, mut largest) = (Bytes::ZERO, Bytes::ZERO);
        for candidate in self.candidates(&request.class, &request.capabilities) {
            let held = self.placement.held(&candidate.name);
            let capacity = &candidate.info.capacity;
            let free = |size: Bytes| size.saturating_sub(held);
            available =
                available.saturating_add(free(capacity.available_for(candidate.provisioning)));
            largest = largest.max(free(capacity.largest_for(candidate.provisioning)));
        }
        let number = |bytes: Bytes| i64::try_from(bytes.get()).unwrap_or(i64::MAX);
        Ok(GetCapacityResponse {
            available_capacity: number(available),
            maximum_volume_size: Some(number(largest.min(available))),
            minimum_volume_size: None,
        })
    }
}
