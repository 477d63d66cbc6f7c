//! How calls are recorded.

use crate::words::words;

words! {
    /// How the two sides of a call are recorded.
    RecordingChannels {
        /// Mixed.
        Single = "single",
        /// Each on a channel of its own.
        Dual = "dual",
    }
    /// What recordings are written as.
    RecordingFormat {
        /// WAV.
        Wav = "wav",
        /// MP3.
        Mp3 = "mp3",
    }
}
