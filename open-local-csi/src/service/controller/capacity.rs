//! How much room there is.

use crate::errors::{Answer, Status};
use crate::proto::{GetCapacityRequest, GetCapacityResponse};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `GetCapacity`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn get_capacity(&self, _request: &GetCapacityRequest) -> Answer<GetCapacityResponse> {
        Err(Status::not_served(Rpc::GetCapacity))
    }
}
