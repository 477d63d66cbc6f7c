//! Why a leg ended: Q.850 cause and SIP status, mapped once.

/// A hang-up cause with its FreeSWITCH name, the code the SDKs show, and a SIP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HangupCause {
    /// 1: nobody has this user name or number.
    UnallocatedNumber,
    /// 3: no way to reach this destination.
    NoRouteDestination,
    /// 16: somebody hung up an answered call.
    NormalClearing,
    /// 17: the callee is busy or declined on their device.
    UserBusy,
    /// 18: no device reacted.
    NoUserResponse,
    /// 19: it rang, and nobody answered in time.
    NoAnswer,
    /// 20: the user exists but has no device connected.
    SubscriberAbsent,
    /// 21: the far side may not be called by this caller.
    CallRejected,
    /// 27: the leg's device vanished before answer.
    DestinationOutOfOrder,
    /// 28: the destination cannot be parsed.
    InvalidNumberFormat,
    /// 41: something failed on our side.
    NormalTemporaryFailure,
    /// 42: a limit of this node was reached.
    SwitchCongestion,
    /// 57: not allowed: a disabled connection, a foreign domain, a revoked credential.
    BearerCapabilityNotAuth,
    /// 88: no common codec, or an unusable description.
    IncompatibleDestination,
    /// 102: a timer gave up: socket or media gone for too long.
    RecoveryOnTimerExpire,
    /// 487: the caller hung up before answer.
    OriginatorCancel,
    /// 502: another device of the same user answered first.
    LoseRace,
}

impl HangupCause {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::UnallocatedNumber,
        Self::NoRouteDestination,
        Self::NormalClearing,
        Self::UserBusy,
        Self::NoUserResponse,
        Self::NoAnswer,
        Self::SubscriberAbsent,
        Self::CallRejected,
        Self::DestinationOutOfOrder,
        Self::InvalidNumberFormat,
        Self::NormalTemporaryFailure,
        Self::SwitchCongestion,
        Self::BearerCapabilityNotAuth,
        Self::IncompatibleDestination,
        Self::RecoveryOnTimerExpire,
        Self::OriginatorCancel,
        Self::LoseRace,
    ];

    const fn facts(self) -> (&'static str, u16, u16, &'static str) {
        match self {
            Self::UnallocatedNumber => ("UNALLOCATED_NUMBER", 1, 404, "Not Found"),
            Self::NoRouteDestination => ("NO_ROUTE_DESTINATION", 3, 404, "Not Found"),
            Self::NormalClearing => ("NORMAL_CLEARING", 16, 200, "OK"),
            Self::UserBusy => ("USER_BUSY", 17, 486, "Busy Here"),
            Self::NoUserResponse => ("NO_USER_RESPONSE", 18, 408, "Request Timeout"),
            Self::NoAnswer => ("NO_ANSWER", 19, 480, "Temporarily Unavailable"),
            Self::SubscriberAbsent => ("SUBSCRIBER_ABSENT", 20, 480, "Temporarily Unavailable"),
            Self::CallRejected => ("CALL_REJECTED", 21, 603, "Decline"),
            Self::DestinationOutOfOrder => ("DESTINATION_OUT_OF_ORDER", 27, 502, "Bad Gateway"),
            Self::InvalidNumberFormat => ("INVALID_NUMBER_FORMAT", 28, 484, "Address Incomplete"),
            Self::NormalTemporaryFailure => {
                ("NORMAL_TEMPORARY_FAILURE", 41, 500, "Server Internal Error")
            }
            Self::SwitchCongestion => ("SWITCH_CONGESTION", 42, 503, "Service Unavailable"),
            Self::BearerCapabilityNotAuth => ("BEARERCAPABILITY_NOTAUTH", 57, 403, "Forbidden"),
            Self::IncompatibleDestination => {
                ("INCOMPATIBLE_DESTINATION", 88, 488, "Not Acceptable Here")
            }
            Self::RecoveryOnTimerExpire => {
                ("RECOVERY_ON_TIMER_EXPIRE", 102, 504, "Server Time-out")
            }
            Self::OriginatorCancel => ("ORIGINATOR_CANCEL", 487, 487, "Request Terminated"),
            Self::LoseRace => ("LOSE_RACE", 502, 487, "Request Terminated"),
        }
    }

    /// Returns the name on the wire, such as `NORMAL_CLEARING`.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Returns `causeCode`: Q.850 where it has one, FreeSWITCH's number otherwise.
    pub const fn code(self) -> u16 {
        self.facts().1
    }

    /// Returns the SIP status that means the same.
    pub const fn sip_status(self) -> u16 {
        self.facts().2
    }

    /// Returns the reason phrase of that status.
    pub const fn sip_reason(self) -> &'static str {
        self.facts().3
    }

    /// Finds a cause by its name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_unique() {
        for (i, a) in HangupCause::ALL.into_iter().enumerate() {
            for b in HangupCause::ALL.into_iter().skip(i + 1) {
                assert_ne!(a.name(), b.name());
                assert_ne!(a.code(), b.code());
            }
            assert_eq!(HangupCause::from_name(a.name()), Some(a));
        }
    }
}
