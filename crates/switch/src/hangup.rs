//! Which cause each side gets when a leg ends: by role and state, never by what a client claims.

use ringtrip_model::{HangupCause, HangupSource, MediaFailure, PermitRefusal};

use crate::leg::Role;

/// How a leg came to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its party hung up.
    Party,
    /// Its protocol side gave it up: lost for too long, revoked, unreachable.
    Protocol(HangupCause),
    /// The call itself ends it: a dead path, an unusable description, a timer.
    Call(HangupCause),
}

impl Ending {
    /// Returns the cause for the leg itself.
    pub(crate) const fn own(self, role: Role, answered: bool) -> HangupCause {
        match (self, role, answered) {
            (Self::Protocol(cause) | Self::Call(cause), _, _) => cause,
            (Self::Party, _, true) => HangupCause::NormalClearing,
            (Self::Party, Role::Caller, false) => HangupCause::OriginatorCancel,
            (Self::Party, Role::Device, false) => HangupCause::UserBusy,
        }
    }

    /// Returns the cause for the other side.
    pub(crate) const fn far(self, role: Role, answered: bool) -> HangupCause {
        match (self, role, answered) {
            (Self::Party, _, _) => self.own(role, answered),
            (Self::Protocol(cause) | Self::Call(cause), _, true) => seen_in_a_call(cause),
            (Self::Protocol(cause) | Self::Call(cause), Role::Caller, false) => {
                seen_by_devices(cause)
            }
            (Self::Protocol(cause) | Self::Call(cause), Role::Device, false) => {
                seen_by_caller(cause)
            }
        }
    }

    /// Returns who ended it.
    pub(crate) const fn source(self, role: Role) -> HangupSource {
        match (self, role) {
            (Self::Party, Role::Caller) => HangupSource::Caller,
            (Self::Party, Role::Device) => HangupSource::Callee,
            (Self::Protocol(_) | Self::Call(_), _) => HangupSource::Server,
        }
    }
}

/// What the other party of an answered call sees: technical ends as they are, and nothing of what
/// concerns the first party alone, such as a revoked credential.
const fn seen_in_a_call(cause: HangupCause) -> HangupCause {
    match cause {
        HangupCause::RecoveryOnTimerExpire
        | HangupCause::NormalTemporaryFailure
        | HangupCause::SwitchCongestion
        | HangupCause::IncompatibleDestination
        | HangupCause::DestinationOutOfOrder => cause,
        HangupCause::UnallocatedNumber
        | HangupCause::NoRouteDestination
        | HangupCause::NormalClearing
        | HangupCause::UserBusy
        | HangupCause::NoUserResponse
        | HangupCause::NoAnswer
        | HangupCause::SubscriberAbsent
        | HangupCause::CallRejected
        | HangupCause::InvalidNumberFormat
        | HangupCause::BearerCapabilityNotAuth
        | HangupCause::OriginatorCancel
        | HangupCause::LoseRace => HangupCause::NormalClearing,
    }
}

/// What a device that has not been accepted sees when the caller's leg ends: the caller is gone.
const fn seen_by_devices(cause: HangupCause) -> HangupCause {
    match cause {
        HangupCause::RecoveryOnTimerExpire
        | HangupCause::NormalTemporaryFailure
        | HangupCause::SwitchCongestion
        | HangupCause::IncompatibleDestination => cause,
        HangupCause::UnallocatedNumber
        | HangupCause::NoRouteDestination
        | HangupCause::NormalClearing
        | HangupCause::UserBusy
        | HangupCause::NoUserResponse
        | HangupCause::NoAnswer
        | HangupCause::SubscriberAbsent
        | HangupCause::CallRejected
        | HangupCause::DestinationOutOfOrder
        | HangupCause::InvalidNumberFormat
        | HangupCause::BearerCapabilityNotAuth
        | HangupCause::OriginatorCancel
        | HangupCause::LoseRace => HangupCause::OriginatorCancel,
    }
}

/// What the caller sees when a device's leg ended before answer without its party's doing.
const fn seen_by_caller(cause: HangupCause) -> HangupCause {
    match cause {
        // The device's login was taken away; to the caller the user has no device any more.
        HangupCause::BearerCapabilityNotAuth => HangupCause::SubscriberAbsent,
        // Causes of an end that a device cannot meet by itself.
        HangupCause::NormalClearing | HangupCause::OriginatorCancel | HangupCause::LoseRace => {
            HangupCause::NormalTemporaryFailure
        }
        HangupCause::UnallocatedNumber
        | HangupCause::NoRouteDestination
        | HangupCause::UserBusy
        | HangupCause::NoUserResponse
        | HangupCause::NoAnswer
        | HangupCause::SubscriberAbsent
        | HangupCause::CallRejected
        | HangupCause::DestinationOutOfOrder
        | HangupCause::InvalidNumberFormat
        | HangupCause::NormalTemporaryFailure
        | HangupCause::SwitchCongestion
        | HangupCause::IncompatibleDestination
        | HangupCause::RecoveryOnTimerExpire => cause,
    }
}

/// Returns the cause of a leg whose description or path the media engine gave up.
pub(crate) const fn cause_of_failure(failure: MediaFailure) -> HangupCause {
    match failure {
        MediaFailure::BadDescription
        | MediaFailure::NoCommonCodec
        | MediaFailure::FingerprintMismatch => HangupCause::IncompatibleDestination,
        MediaFailure::DtlsFailed => HangupCause::NormalTemporaryFailure,
        MediaFailure::Full => HangupCause::SwitchCongestion,
    }
}

/// Returns the caller's cause when a limit leaves no place: its own limit is a 403, the callee's a
/// 486 and the node's a 503.
pub(crate) const fn cause_of_refusal(refusal: PermitRefusal) -> HangupCause {
    match refusal {
        PermitRefusal::Outbound => HangupCause::BearerCapabilityNotAuth,
        PermitRefusal::Inbound => HangupCause::UserBusy,
        PermitRefusal::Node => HangupCause::SwitchCongestion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HangupCause::*;

    #[test]
    fn causes_go_by_role_and_state() {
        for (ending, role, answered, own, far) in [
            (
                Ending::Party,
                Role::Caller,
                false,
                OriginatorCancel,
                OriginatorCancel,
            ),
            (Ending::Party, Role::Device, false, UserBusy, UserBusy),
            (
                Ending::Party,
                Role::Caller,
                true,
                NormalClearing,
                NormalClearing,
            ),
            (
                Ending::Party,
                Role::Device,
                true,
                NormalClearing,
                NormalClearing,
            ),
            (
                Ending::Protocol(RecoveryOnTimerExpire),
                Role::Device,
                true,
                RecoveryOnTimerExpire,
                RecoveryOnTimerExpire,
            ),
            (
                Ending::Protocol(BearerCapabilityNotAuth),
                Role::Caller,
                true,
                BearerCapabilityNotAuth,
                NormalClearing,
            ),
            (
                Ending::Protocol(BearerCapabilityNotAuth),
                Role::Device,
                false,
                BearerCapabilityNotAuth,
                SubscriberAbsent,
            ),
            (
                Ending::Protocol(DestinationOutOfOrder),
                Role::Caller,
                false,
                DestinationOutOfOrder,
                OriginatorCancel,
            ),
            (
                Ending::Protocol(DestinationOutOfOrder),
                Role::Device,
                false,
                DestinationOutOfOrder,
                DestinationOutOfOrder,
            ),
            (
                Ending::Call(SwitchCongestion),
                Role::Device,
                false,
                SwitchCongestion,
                SwitchCongestion,
            ),
        ] {
            assert_eq!(
                ending.own(role, answered),
                own,
                "{ending:?} {role:?} {answered}"
            );
            assert_eq!(
                ending.far(role, answered),
                far,
                "{ending:?} {role:?} {answered}"
            );
        }
    }
}
