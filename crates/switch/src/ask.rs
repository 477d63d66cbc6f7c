//! What a leg has asked of the media engine and not yet heard about.

use std::collections::VecDeque;

use ringtrip_model::Time;

/// A media command that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Answered by `OfferRead` or `Refused`.
    ReadOffer,
    /// Answered by `AnswerReady` or `Refused`.
    MakeAnswer,
    /// Answered by `OfferReady` or `Refused`.
    MakeOffer,
    /// Answered by `AnswerApplied` or `Refused`.
    ApplyAnswer,
    /// Answered by `RestartReady` or `RestartRefused`.
    Restart,
}

impl Ask {
    /// Tells whether `Refused` may answer it.
    const fn may_be_refused(self) -> bool {
        match self {
            Self::ReadOffer | Self::MakeAnswer | Self::MakeOffer | Self::ApplyAnswer => true,
            Self::Restart => false,
        }
    }
}

/// One question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    /// What was asked.
    pub(crate) ask: Ask,
    /// When we stop waiting.
    by: Time,
    /// Whether the answer no longer matters.
    pub(crate) superseded: bool,
}

/// A leg's questions to the media engine, oldest first. Answers of one kind come in the order of
/// their questions; an answer without a question is nonsense and dropped.
#[derive(Debug, Default)]
pub(crate) struct Asks(VecDeque<Pending>);

impl Asks {
    /// How many may be under way; a leg needs two at the most unless the media engine is stuck.
    const MAX: usize = 8;

    /// Tells whether another question would be one too many.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    /// Notes a question.
    pub(crate) fn push(&mut self, ask: Ask, by: Time) {
        self.0.push_back(Pending {
            ask,
            by,
            superseded: false,
        });
    }

    /// Takes the oldest question of a kind.
    pub(crate) fn take(&mut self, ask: Ask) -> Option<Pending> {
        let at = self.0.iter().position(|pending| pending.ask == ask)?;
        self.0.remove(at)
    }

    /// Takes the oldest question that a refusal can answer.
    pub(crate) fn take_refused(&mut self) -> Option<Pending> {
        let at = self
            .0
            .iter()
            .position(|pending| pending.ask.may_be_refused())?;
        self.0.remove(at)
    }

    /// Lets the answers to all questions of a kind go unheard.
    pub(crate) fn supersede(&mut self, ask: Ask) {
        for pending in self.0.iter_mut().filter(|pending| pending.ask == ask) {
            pending.superseded = true;
        }
    }

    /// Returns when the first of them has waited too long.
    pub(crate) fn due(&self) -> Option<Time> {
        self.0.iter().map(|pending| pending.by).min()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_the_oldest_question_of_their_kind() {
        let mut asks = Asks::default();
        asks.push(Ask::Restart, Time::from_secs(9));
        asks.push(Ask::ApplyAnswer, Time::from_secs(2));
        asks.supersede(Ask::ApplyAnswer);
        asks.push(Ask::ApplyAnswer, Time::from_secs(3));
        assert_eq!(asks.due(), Some(Time::from_secs(2)));
        assert_eq!(
            asks.take_refused().map(|p| (p.ask, p.superseded)),
            Some((Ask::ApplyAnswer, true))
        );
        assert_eq!(
            asks.take(Ask::ApplyAnswer).map(|p| p.superseded),
            Some(false)
        );
        assert_eq!(asks.take(Ask::ApplyAnswer), None);
        assert_eq!(asks.take_refused(), None, "a restart has its own refusal");
        assert_eq!(asks.due(), Some(Time::from_secs(9)));
    }
}
