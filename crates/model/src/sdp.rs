//! Session descriptions by role (RFC 3264), so that an offer cannot be taken for an answer.
//! Only `media` looks inside.

/// An offer, as text.
#[derive(Clone, PartialEq, Eq)]
pub struct SdpOffer(pub String);

/// An answer, as text.
#[derive(Clone, PartialEq, Eq)]
pub struct SdpAnswer(pub String);

impl std::fmt::Debug for SdpOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SdpOffer({} bytes)", self.0.len())
    }
}

impl std::fmt::Debug for SdpAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SdpAnswer({} bytes)", self.0.len())
    }
}
