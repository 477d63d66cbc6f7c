//! Reads what a request says about a number onto what is there already.

use ringtrip_model::{
    AccountId, Country, CredentialConnectionId, E164, FieldErrors, Generator, MAX_LABEL_CHARS,
    MAX_TAGS, NewPhoneNumber, PhoneNumber, PhoneNumberSettings, PhoneNumberType, Timestamp,
    VoiceSettings,
};

use crate::fields::{Fields, Limit, Sent};

/// Reads a new number.
pub(super) fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<NewPhoneNumber, FieldErrors> {
    let number = value(fields.get::<E164>("phone_number"));
    let country = value(fields.get::<Country>("country_iso_alpha2"));
    let kind = value(fields.get::<PhoneNumberType>("phone_number_type"));
    let (mut connection, mut settings) = (None, PhoneNumberSettings::default());
    apply(fields, &mut connection, &mut settings);
    NewPhoneNumber::new(
        account, number, country, kind, connection, settings, now, rng,
    )
}

/// Reads a change onto a number.
pub(super) fn read_change(
    fields: &mut Fields<'_>,
    number: &mut PhoneNumber,
) -> Result<(), FieldErrors> {
    apply(fields, &mut number.connection, &mut number.settings);
    checked(number)
}

/// Reads a change onto the voice settings of a number.
pub(super) fn read_voice_change(
    fields: &mut Fields<'_>,
    number: &mut PhoneNumber,
) -> Result<(), FieldErrors> {
    apply_voice(fields, &mut number.settings.voice);
    checked(number)
}

/// Makes the number that a change is described on.
pub(super) fn example(account: AccountId, now: Timestamp, rng: &mut Generator) -> PhoneNumber {
    NewPhoneNumber::new(
        account,
        "+13125550123".parse().ok(),
        None,
        None,
        None,
        PhoneNumberSettings::default(),
        now,
        rng,
    )
    .expect("these values are valid")
    .into_phone_number()
}

fn checked(number: &mut PhoneNumber) -> Result<(), FieldErrors> {
    let faults = number.normalize_and_validate();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(FieldErrors(faults))
    }
}

fn value<T>(sent: Sent<T>) -> Option<T> {
    match sent {
        Sent::Value(value) => Some(value),
        Sent::Absent | Sent::Null | Sent::Refused => None,
    }
}

/// `null` clears a field that may be unset, and gives any other its default again.
fn apply(
    fields: &mut Fields<'_>,
    connection: &mut Option<CredentialConnectionId>,
    s: &mut PhoneNumberSettings,
) {
    fields.set_reference("connection_id", "connection", connection);
    fields.limit("tags", Limit::Entries(MAX_TAGS, MAX_LABEL_CHARS));
    fields.set("tags", &mut s.tags, Vec::new());
    fields.limit("customer_reference", Limit::Chars(0, MAX_LABEL_CHARS));
    fields.set_nullable("customer_reference", &mut s.customer_reference);
    fields.limit("external_pin", Limit::Chars(0, MAX_LABEL_CHARS));
    fields.set_nullable("external_pin", &mut s.external_pin);
    fields.set_reference("billing_group_id", "billing group", &mut s.billing_group_id);
    fields.set("deletion_lock_enabled", &mut s.deletion_lock_enabled, false);
    fields.set("hd_voice_enabled", &mut s.hd_voice_enabled, false);
}

fn apply_voice(fields: &mut Fields<'_>, s: &mut VoiceSettings) {
    let unset = VoiceSettings::default();
    fields.set(
        "tech_prefix_enabled",
        &mut s.tech_prefix_enabled,
        unset.tech_prefix_enabled,
    );
    fields.set(
        "translated_number",
        &mut s.translated_number,
        unset.translated_number,
    );
    fields.set(
        "usage_payment_method",
        &mut s.usage_payment_method,
        unset.usage_payment_method,
    );
    fields.set(
        "inbound_call_screening",
        &mut s.inbound_call_screening,
        unset.inbound_call_screening,
    );
    fields.set(
        "caller_id_name_enabled",
        &mut s.caller_id_name_enabled,
        unset.caller_id_name_enabled,
    );

    let mut forwarding = fields.nested("/call_forwarding");
    let (s_forwarding, u_forwarding) = (&mut s.call_forwarding, unset.call_forwarding);
    forwarding.set(
        "call_forwarding_enabled",
        &mut s_forwarding.call_forwarding_enabled,
        u_forwarding.call_forwarding_enabled,
    );
    forwarding.set(
        "forwards_to",
        &mut s_forwarding.forwards_to,
        u_forwarding.forwards_to,
    );
    forwarding.set_nullable("forwarding_type", &mut s_forwarding.forwarding_type);

    let mut recording = fields.nested("/call_recording");
    let (s_recording, u_recording) = (&mut s.call_recording, unset.call_recording);
    recording.set(
        "inbound_call_recording_enabled",
        &mut s_recording.inbound_call_recording_enabled,
        u_recording.inbound_call_recording_enabled,
    );
    recording.set(
        "inbound_call_recording_format",
        &mut s_recording.inbound_call_recording_format,
        u_recording.inbound_call_recording_format,
    );
    recording.set(
        "inbound_call_recording_channels",
        &mut s_recording.inbound_call_recording_channels,
        u_recording.inbound_call_recording_channels,
    );

    let mut cnam = fields.nested("/cnam_listing");
    let (s_cnam, u_cnam) = (&mut s.cnam_listing, unset.cnam_listing);
    cnam.set(
        "cnam_listing_enabled",
        &mut s_cnam.cnam_listing_enabled,
        u_cnam.cnam_listing_enabled,
    );
    cnam.set(
        "cnam_listing_details",
        &mut s_cnam.cnam_listing_details,
        u_cnam.cnam_listing_details,
    );

    let mut media = fields.nested("/media_features");
    let (s_media, u_media) = (&mut s.media_features, unset.media_features);
    media.set(
        "rtp_auto_adjust_enabled",
        &mut s_media.rtp_auto_adjust_enabled,
        u_media.rtp_auto_adjust_enabled,
    );
    media.set(
        "accept_any_rtp_packets_enabled",
        &mut s_media.accept_any_rtp_packets_enabled,
        u_media.accept_any_rtp_packets_enabled,
    );
    media.set(
        "t38_fax_gateway_enabled",
        &mut s_media.t38_fax_gateway_enabled,
        u_media.t38_fax_gateway_enabled,
    );
}
