//! `open-local csi-client`: any socket of the interface called by hand.
