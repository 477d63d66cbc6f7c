// Command driver runs every operation with the official Go SDK. How a driver reports: see ../README.md.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/team-telnyx/telnyx-go/v4"
	"github.com/team-telnyx/telnyx-go/v4/option"
)

const (
	uuid    = `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
	numeric = `^\d{18,19}$`
	instant = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`
	unknown = "00000000-0000-4000-8000-000000000000"
)

type facts struct {
	UserID     string `json:"user_id"`
	UnknownKey string `json:"unknown_key"`
	Push       struct {
		Certificate string         `json:"certificate"`
		PrivateKey  string         `json:"private_key"`
		Project     map[string]any `json:"project_account_json_file"`
	} `json:"push"`
	Ended struct {
		ConnectionID string `json:"connection_id"`
		SipUsername  string `json:"sip_username"`
		CallID       string `json:"call_id"`
		LegID        string `json:"leg_id"`
		WebhookURL   string `json:"webhook_url"`
	} `json:"ended"`
	Live struct {
		ConnectionID string `json:"connection_id"`
	} `json:"live"`
}

type object = map[string]any

// envelope is an answer of a route that the SDK has no type for.
type envelope struct {
	Data object `json:"data"`
}

type list struct {
	Data []object `json:"data"`
	Meta object   `json:"meta"`
}

// driver keeps what earlier operations made and later ones use.
type driver struct {
	ctx        context.Context
	api        telnyx.Client
	facts      facts
	profile    telnyx.OutboundVoiceProfile
	connection telnyx.CredentialConnection
	credential telnyx.TelephonyCredential
	number     string
	numberID   string
	made       object
}

func main() {
	// Both settings come from the environment: this is all that a program of a customer's changes.
	d := &driver{ctx: context.Background(), api: telnyx.NewClient()}
	check(json.Unmarshal([]byte(os.Getenv("RINGTRIP_SDK_FACTS")), &d.facts))
	print(object{"sdk": "telnyx-go " + version()})
	d.account()
	d.profiles()
	d.connections()
	d.credentials()
	d.numbers()
	d.push()
	d.history()
	d.trunks()
	d.anything()
	d.removals()
}

// version returns the SDK's version as go.mod has it.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasPrefix(module.Path, "github.com/team-telnyx/telnyx-go") {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

func (d *driver) account() {
	generic("whoami.retrieve", "client.Get", func() {
		same(d.get("/whoami").Data["user_id"], any(d.facts.UserID))
	})
	operation("balance.retrieve", "Balance.Get", func() {
		answer := must(d.api.Balance.Get(d.ctx))
		same(string(answer.Data.RecordType), "balance")
		like(answer.Data.Balance, `^-?\d+\.\d\d$`)
		like(answer.Data.AvailableCredit, `^-?\d+\.\d\d$`)
		like(answer.Data.Currency, `^[A-Z]{3}$`)
	})
	generic("account.retrieve", "client.Get", func() {
		same(d.get("/account").Data["id"], any(d.facts.UserID))
	})
	name := "go " + unique()
	generic("api_keys.create", "client.Post", func() {
		var answer envelope
		check(d.api.Post(d.ctx, "api_keys", object{"name": name}, &answer))
		d.made = answer.Data
		like(answer.Data["api_key"].(string), `^KEY[0-9A-F]{32}_[A-Za-z0-9]{22}$`)
	})
	generic("api_keys.list", "client.Get", func() {
		same(row(d.list("/api_keys?page%5Bsize%5D=250"), d.made["id"])["name"], any(name))
	})
	generic("api_keys.update", "client.Patch", func() {
		var answer envelope
		check(d.api.Patch(d.ctx, "api_keys/"+d.made["id"].(string), object{"name": name + " renamed"}, &answer))
		same(answer.Data["name"], any(name+" renamed"))
	})
	generic("api_keys.delete", "client.Delete", func() {
		check(d.api.Delete(d.ctx, "api_keys/"+d.made["id"].(string), nil, nil))
		dead := telnyx.NewClient(option.WithAPIKey(d.made["api_key"].(string)))
		_, err := dead.Balance.Get(d.ctx)
		fails(err, 401, "10009")
	})
}

func (d *driver) profiles() {
	name := "go " + unique()
	operation("outbound_voice_profiles.create", "OutboundVoiceProfiles.New", func() {
		d.profile = must(d.api.OutboundVoiceProfiles.New(d.ctx, telnyx.OutboundVoiceProfileNewParams{
			Name:                    name,
			WhitelistedDestinations: []string{"US", "DE"},
			ConcurrentCallLimit:     telnyx.Int(7),
			DailySpendLimit:         telnyx.String("12.50"),
			DailySpendLimitEnabled:  telnyx.Bool(true),
			MaxDestinationRate:      telnyx.Float(0.25),
			Tags:                    []string{"a", "b"},
			CallRecording: telnyx.OutboundCallRecordingParam{
				CallRecordingType:     telnyx.OutboundCallRecordingCallRecordingTypeAll,
				CallRecordingChannels: telnyx.OutboundCallRecordingCallRecordingChannelsDual,
			},
		})).Data
		like(d.profile.ID, numeric)
		same(d.profile.RecordType, "outbound_voice_profile")
		same(d.profile.Name, name)
		same(d.profile.WhitelistedDestinations, []string{"US", "DE"})
		same(d.profile.ConcurrentCallLimit, 7)
		same(d.profile.DailySpendLimit, "12.50")
		same(d.profile.MaxDestinationRate, 0.25)
		same(d.profile.CallRecording.CallRecordingChannels, telnyx.OutboundCallRecordingCallRecordingChannelsDual)
		same(d.profile.Enabled, true)
		like(d.profile.CreatedAt, instant)
	})
	operation("outbound_voice_profiles.retrieve", "OutboundVoiceProfiles.Get", func() {
		same(must(d.api.OutboundVoiceProfiles.Get(d.ctx, d.profile.ID)).Data.RawJSON(), d.profile.RawJSON())
	})
	operation("outbound_voice_profiles.list", "OutboundVoiceProfiles.ListAutoPaging", func() {
		found := all(d.api.OutboundVoiceProfiles.ListAutoPaging(d.ctx, telnyx.OutboundVoiceProfileListParams{
			Filter: telnyx.OutboundVoiceProfileListParamsFilter{
				Name: telnyx.OutboundVoiceProfileListParamsFilterName{Contains: telnyx.String(strings.ToUpper(name))},
			},
			Sort: telnyx.OutboundVoiceProfileListParamsSortNameDesc,
		}))
		same(len(found), 1)
		same(found[0].ID, d.profile.ID)
	})
	operation("outbound_voice_profiles.update", "OutboundVoiceProfiles.Update", func() {
		changed := must(d.api.OutboundVoiceProfiles.Update(d.ctx, d.profile.ID, telnyx.OutboundVoiceProfileUpdateParams{
			Name:    name + " changed",
			Enabled: telnyx.Bool(false),
		})).Data
		same(changed.Name, name+" changed")
		same(changed.Enabled, false)
		same(changed.WhitelistedDestinations, []string{"US", "DE"})
	})
}

func (d *driver) connections() {
	tag := unique()
	operation("credential_connections.create", "CredentialConnections.New", func() {
		d.connection = must(d.api.CredentialConnections.New(d.ctx, telnyx.CredentialConnectionNewParams{
			ConnectionName: "go " + tag,
			UserName:       "g" + tag,
			Password:       "p" + tag,
			Inbound:        telnyx.CredentialInboundParam{Codecs: []string{"OPUS", "VP8"}, Timeout2xxSecs: telnyx.Int(30)},
			Outbound:       telnyx.CredentialOutboundParam{OutboundVoiceProfileID: telnyx.String(d.profile.ID)},
			Tags:           []string{"x"},
		})).Data
		like(d.connection.ID, numeric)
		same(d.connection.RecordType, "credential_connection")
		same(d.connection.Password, "p"+tag)
		same(d.connection.Inbound.Codecs, []string{"OPUS", "VP8"})
		same(d.connection.Inbound.Timeout2xxSecs, 30)
		same(d.connection.Inbound.Timeout1xxSecs, 3)
		same(d.connection.Outbound.OutboundVoiceProfileID, d.profile.ID)
		same(d.connection.Tags, []string{"x"})
	})
	operation("credential_connections.retrieve", "CredentialConnections.Get", func() {
		same(must(d.api.CredentialConnections.Get(d.ctx, d.connection.ID)).Data.RawJSON(), d.connection.RawJSON())
	})
	operation("credential_connections.list", "CredentialConnections.ListAutoPaging", func() {
		found := all(d.api.CredentialConnections.ListAutoPaging(d.ctx, telnyx.CredentialConnectionListParams{
			Filter: telnyx.CredentialConnectionListParamsFilter{
				ConnectionName: telnyx.CredentialConnectionListParamsFilterConnectionName{Contains: telnyx.String(strings.ToUpper(tag))},
			},
			Sort: telnyx.CredentialConnectionListParamsSortConnectionName,
		}))
		same(len(found), 1)
		same(found[0].ID, d.connection.ID)
	})
	operation("credential_connections.update", "CredentialConnections.Update", func() {
		changed := must(d.api.CredentialConnections.Update(d.ctx, d.connection.ID, telnyx.CredentialConnectionUpdateParams{
			Inbound: telnyx.CredentialInboundParam{DnisNumberFormat: "sip_username"},
			Tags:    []string{"y"},
		})).Data
		same(string(changed.Inbound.DnisNumberFormat), "sip_username")
		same(changed.Inbound.Codecs, []string{"OPUS", "VP8"})
		same(changed.Tags, []string{"y"})
	})
	operation("credential_connections.check_registration_status", "CredentialConnections.Actions.CheckRegistrationStatus", func() {
		status := must(d.api.CredentialConnections.Actions.CheckRegistrationStatus(d.ctx, d.connection.ID)).Data
		same(string(status.Status), "Not Registered")
		same(status.SipUsername, d.connection.UserName)
	})
	operation("connections.retrieve", "Connections.Get", func() {
		found := must(d.api.Connections.Get(d.ctx, d.connection.ID)).Data
		same(found.ID, d.connection.ID)
		same(found.RecordType, "credential_connection")
		same(found.OutboundVoiceProfileID, d.profile.ID)
	})
	operation("connections.list", "Connections.ListAutoPaging", func() {
		found := all(d.api.Connections.ListAutoPaging(d.ctx, telnyx.ConnectionListParams{PageSize: telnyx.Int(2)}))
		ids := map[string]bool{}
		for _, one := range found {
			ids[one.ID] = true
		}
		same(len(ids), len(found))
		same(ids[d.connection.ID], true)
	})
	operation("connections.list_active_calls", "Connections.ListActiveCallsAutoPaging", func() {
		calls := all(d.api.Connections.ListActiveCallsAutoPaging(d.ctx, d.facts.Live.ConnectionID, telnyx.ConnectionListActiveCallsParams{}))
		same(len(calls), 1)
		like(calls[0].CallLegID, uuid)
		like(calls[0].CallSessionID, uuid)
	})
}

func (d *driver) credentials() {
	tag := "tag " + unique() + " + & %"
	operation("telephony_credentials.create", "TelephonyCredentials.New", func() {
		d.credential = must(d.api.TelephonyCredentials.New(d.ctx, telnyx.TelephonyCredentialNewParams{
			ConnectionID: d.connection.ID,
			Name:         telnyx.String("Front desk"),
			Tag:          telnyx.String(tag),
		})).Data
		like(d.credential.ID, uuid)
		same(d.credential.RecordType, "credential")
		same(d.credential.Name, "Front desk")
		same(d.credential.ResourceID, "connection:"+d.connection.ID)
		same(d.credential.Expired, false)
		like(d.credential.SipUsername, `^gencred[A-Za-z0-9]{42}$`)
		like(d.credential.SipPassword, `^[0-9a-f]{32}$`)
		same(d.credential.UserID, d.facts.UserID)
	})
	operation("telephony_credentials.retrieve", "TelephonyCredentials.Get", func() {
		same(must(d.api.TelephonyCredentials.Get(d.ctx, d.credential.ID)).Data.RawJSON(), d.credential.RawJSON())
	})
	operation("telephony_credentials.list", "TelephonyCredentials.ListAutoPaging", func() {
		for _, filter := range []telnyx.TelephonyCredentialListParamsFilter{
			{Tag: telnyx.String(tag)},
			{SipUsername: telnyx.String(d.credential.SipUsername)},
			{ResourceID: telnyx.String("connection:" + d.connection.ID)},
			{Tag: telnyx.String(tag), Name: telnyx.String("Front desk"), Status: telnyx.String("active")},
		} {
			found := all(d.api.TelephonyCredentials.ListAutoPaging(d.ctx, telnyx.TelephonyCredentialListParams{Filter: filter}))
			same(len(found), 1)
			same(found[0].ID, d.credential.ID)
		}
	})
	operation("telephony_credentials.update", "TelephonyCredentials.Update", func() {
		changed := must(d.api.TelephonyCredentials.Update(d.ctx, d.credential.ID, telnyx.TelephonyCredentialUpdateParams{
			Name:      telnyx.String("Back office"),
			ExpiresAt: telnyx.String("2099-01-02T03:04:05+02:00"),
		})).Data
		same(changed.Name, "Back office")
		same(changed.ExpiresAt, "2099-01-02T01:04:05.000Z")
		same(changed.SipPassword, d.credential.SipPassword)
	})
	operation("telephony_credentials.create_token", "TelephonyCredentials.NewToken", func() {
		token := *must(d.api.TelephonyCredentials.NewToken(d.ctx, d.credential.ID))
		same(len(strings.Split(token, ".")), 3)
		same(token, strings.TrimSpace(token))
	})
	action := func(verb string) {
		var answer envelope
		check(d.api.Post(d.ctx, "telephony_credentials/"+d.credential.ID+"/actions/"+verb, nil, &answer))
		same(answer.Data["id"], any(d.credential.ID))
	}
	generic("telephony_credentials.deactivate", "client.Post", func() {
		action("deactivate")
		if _, err := d.api.TelephonyCredentials.NewToken(d.ctx, d.credential.ID); err == nil {
			panic("an inactive credential makes no token")
		}
	})
	generic("telephony_credentials.activate", "client.Post", func() {
		action("activate")
		must(d.api.TelephonyCredentials.NewToken(d.ctx, d.credential.ID))
	})
	generic("telephony_credentials.list_tags", "client.Get", func() {
		rows := d.list("/telephony_credentials/tags?page%5Bsize%5D=250").Data
		same(slices.ContainsFunc(rows, func(one object) bool { return one["tag"] == tag && one["amount"] == 1.0 }), true)
	})
}

func (d *driver) numbers() {
	d.number = number()
	digits := d.number[1:]
	generic("phone_numbers.create", "client.Post", func() {
		var answer envelope
		check(d.api.Post(d.ctx, "phone_numbers", object{"phone_number": d.number}, &answer))
		d.numberID = answer.Data["id"].(string)
		like(d.numberID, numeric)
	})
	operation("phone_numbers.retrieve", "PhoneNumbers.Get", func() {
		found := must(d.api.PhoneNumbers.Get(d.ctx, d.numberID)).Data
		same(found.PhoneNumber, d.number)
		same(found.RecordType, "phone_number")
		same(string(found.Status), "active")
		same(found.CountryISOAlpha2, "US")
	})
	operation("phone_numbers.update", "PhoneNumbers.Update", func() {
		changed := must(d.api.PhoneNumbers.Update(d.ctx, d.numberID, telnyx.PhoneNumberUpdateParams{
			ConnectionID:      telnyx.String(d.connection.ID),
			Tags:              []string{"desk"},
			CustomerReference: telnyx.String("ref 1"),
		})).Data
		same(changed.ConnectionID, d.connection.ID)
		same(changed.ConnectionName, d.connection.ConnectionName)
		same(changed.Tags, []string{"desk"})
		same(changed.CustomerReference, "ref 1")
	})
	operation("phone_numbers.list", "PhoneNumbers.ListAutoPaging", func() {
		found := all(d.api.PhoneNumbers.ListAutoPaging(d.ctx, telnyx.PhoneNumberListParams{
			Filter: telnyx.PhoneNumberListParamsFilter{PhoneNumber: telnyx.String(digits), Tag: telnyx.String("desk"), Status: "active"},
			Sort:   telnyx.PhoneNumberListParamsSortPhoneNumber,
		}))
		same(len(found), 1)
		same(found[0].ID, d.numberID)
	})
	operation("phone_numbers.voice.retrieve", "PhoneNumbers.Voice.Get", func() {
		found := must(d.api.PhoneNumbers.Voice.Get(d.ctx, d.numberID)).Data
		same(found.RecordType, "voice_settings")
		same(found.ConnectionID, d.connection.ID)
	})
	operation("phone_numbers.voice.update", "PhoneNumbers.Voice.Update", func() {
		changed := must(d.api.PhoneNumbers.Voice.Update(d.ctx, d.numberID, telnyx.PhoneNumberVoiceUpdateParams{
			UpdateVoiceSettings: telnyx.UpdateVoiceSettingsParam{
				CallForwarding: telnyx.CallForwardingParam{
					CallForwardingEnabled: telnyx.Bool(true),
					ForwardsTo:            telnyx.String("+13125550123"),
					ForwardingType:        telnyx.CallForwardingForwardingTypeOnFailure,
				},
			},
		})).Data
		same(changed.CallForwarding.ForwardsTo, "+13125550123")
		same(changed.CallForwarding.ForwardingType, telnyx.CallForwardingForwardingTypeOnFailure)
	})
	operation("phone_numbers.voice.list", "PhoneNumbers.Voice.ListAutoPaging", func() {
		found := all(d.api.PhoneNumbers.Voice.ListAutoPaging(d.ctx, telnyx.PhoneNumberVoiceListParams{
			Filter: telnyx.PhoneNumberVoiceListParamsFilter{PhoneNumber: telnyx.String(digits)},
		}))
		same(len(found), 1)
		same(found[0].ID, d.numberID)
	})
	operation("phone_numbers.delete", "PhoneNumbers.Delete", func() {
		same(must(d.api.PhoneNumbers.Delete(d.ctx, d.numberID)).Data.ID, d.numberID)
		_, err := d.api.PhoneNumbers.Get(d.ctx, d.numberID)
		fails(err, 404, "10005")
	})
}

func (d *driver) push() {
	alias := "go " + unique()
	var ios, android telnyx.PushCredential
	operation("mobile_push_credentials.create", "MobilePushCredentials.New", func() {
		ios = must(d.api.MobilePushCredentials.New(d.ctx, telnyx.MobilePushCredentialNewParams{
			OfIos: &telnyx.MobilePushCredentialNewParamsCreateMobilePushCredentialRequestIos{
				Alias: alias, Certificate: d.facts.Push.Certificate, PrivateKey: d.facts.Push.PrivateKey,
			},
		})).Data
		like(ios.ID, uuid)
		same(ios.Type, "ios")
		same(ios.Alias, alias)
		android = must(d.api.MobilePushCredentials.New(d.ctx, telnyx.MobilePushCredentialNewParams{
			OfAndroid: &telnyx.MobilePushCredentialNewParamsCreateMobilePushCredentialRequestAndroid{
				Alias: alias + " 2", ProjectAccountJsonFile: d.facts.Push.Project,
			},
		})).Data
		same(android.Type, "android")
		same(android.ProjectAccountJsonFile["project_id"], d.facts.Push.Project["project_id"])
	})
	operation("mobile_push_credentials.retrieve", "MobilePushCredentials.Get", func() {
		same(must(d.api.MobilePushCredentials.Get(d.ctx, ios.ID)).Data.RawJSON(), ios.RawJSON())
	})
	operation("mobile_push_credentials.list", "MobilePushCredentials.ListAutoPaging", func() {
		found := all(d.api.MobilePushCredentials.ListAutoPaging(d.ctx, telnyx.MobilePushCredentialListParams{
			Filter: telnyx.MobilePushCredentialListParamsFilter{Alias: telnyx.String(alias), Type: "ios"},
		}))
		same(len(found), 1)
		same(found[0].ID, ios.ID)
	})
	operation("mobile_push_credentials.delete", "MobilePushCredentials.Delete", func() {
		for _, id := range []string{ios.ID, android.ID} {
			check(d.api.MobilePushCredentials.Delete(d.ctx, id))
			_, err := d.api.MobilePushCredentials.Get(d.ctx, id)
			fails(err, 404, "10005")
		}
	})
}

func (d *driver) history() {
	ended := d.facts.Ended
	operation("detail_records.list", "DetailRecords.ListAutoPaging", func() {
		records := all(d.api.DetailRecords.ListAutoPaging(d.ctx, telnyx.DetailRecordListParams{
			Filter:   telnyx.DetailRecordListParamsFilter{RecordType: "webrtc", DateRange: "today"},
			PageSize: telnyx.Int(2),
		}))
		at := slices.IndexFunc(records, func(one telnyx.DetailRecordListResponseUnion) bool {
			return one.ConnectionID == ended.ConnectionID
		})
		if at < 0 {
			panic("the ended call has no record")
		}
		same(records[at].RecordType, "webrtc_detail_record")
	})
	operation("call_events.list", "CallEvents.ListAutoPaging", func() {
		events := all(d.api.CallEvents.ListAutoPaging(d.ctx, telnyx.CallEventListParams{
			Filter: telnyx.CallEventListParamsFilter{LegID: telnyx.String(ended.LegID)},
		}))
		same(slices.ContainsFunc(events, func(one telnyx.CallEventListResponse) bool { return one.Name == "call.hangup" }), true)
	})
	operation("voice_sdk_call_reports.list", "VoiceSDKCallReports.ListAutoPaging", func() {
		reports := all(d.api.VoiceSDKCallReports.ListAutoPaging(d.ctx, telnyx.VoiceSDKCallReportListParams{
			Sort: telnyx.VoiceSDKCallReportListParamsSortDesc, PageSize: telnyx.Int(1),
		}))
		same(slices.ContainsFunc(reports, func(one telnyx.VoiceSDKCallReport) bool { return one.CallID == ended.CallID }), true)
	})
	operation("voice_sdk_call_reports.retrieve", "VoiceSDKCallReports.Get", func() {
		reports := *must(d.api.VoiceSDKCallReports.Get(d.ctx, ended.CallID))
		same(reports[0].CallID, ended.CallID)
	})
	var delivery telnyx.WebhookDelivery
	operation("webhook_deliveries.list", "WebhookDeliveries.ListAutoPaging", func() {
		deliveries := all(d.api.WebhookDeliveries.ListAutoPaging(d.ctx, telnyx.WebhookDeliveryListParams{
			Filter: telnyx.WebhookDeliveryListParamsFilter{
				EventType: telnyx.String("call.hangup"),
				Status:    telnyx.WebhookDeliveryListParamsFilterStatus{Eq: "delivered"},
			},
		}))
		at := slices.IndexFunc(deliveries, func(one telnyx.WebhookDelivery) bool {
			return one.Webhook.Payload["connection_id"] == ended.ConnectionID
		})
		if at < 0 {
			panic("the end of the call was not delivered")
		}
		delivery = deliveries[at]
		same(delivery.Attempts[0].HTTP.Request.URL, ended.WebhookURL)
		same(delivery.Attempts[0].HTTP.Response.Status, 200)
	})
	operation("webhook_deliveries.retrieve", "WebhookDeliveries.Get", func() {
		same(must(d.api.WebhookDeliveries.Get(d.ctx, delivery.ID)).Data.RawJSON(), delivery.RawJSON())
	})
	operation("sip_registration_status.retrieve", "SipRegistrationStatus.Get", func() {
		status := must(d.api.SipRegistrationStatus.Get(d.ctx, telnyx.SipRegistrationStatusGetParams{
			CredentialType: "telephony_credential",
			Username:       telnyx.String(d.credential.SipUsername),
		}))
		same(status.Registered, false)
		same(status.CredentialUsername, d.credential.SipUsername)
	})
}

func (d *driver) trunks() {
	name := "go " + unique()
	var id string
	generic("trunks.create", "client.Post", func() {
		var answer envelope
		check(d.api.Post(d.ctx, "trunks", object{"name": name, "host": "sip.carrier.example", "transport": "udp"}, &answer))
		same(answer.Data["record_type"], any("trunk"))
		id = answer.Data["id"].(string)
	})
	generic("trunks.retrieve", "client.Get", func() {
		same(d.get("/trunks/" + id).Data["name"], any(name))
	})
	generic("trunks.list", "client.Get", func() {
		row(d.list("/trunks?page%5Bsize%5D=250"), id)
	})
	generic("trunks.update", "client.Patch", func() {
		var answer envelope
		check(d.api.Patch(d.ctx, "trunks/"+id, object{"priority": 7}, &answer))
		same(answer.Data["priority"], any(7.0))
	})
	generic("trunks.delete", "client.Delete", func() {
		var answer envelope
		check(d.api.Delete(d.ctx, "trunks/"+id, nil, &answer))
		same(answer.Data["id"], any(id))
		fails(d.api.Get(d.ctx, "trunks/"+id, nil, &answer), 404, "10005")
	})
}

func (d *driver) anything() {
	operation("any.environment", "telnyx.NewClient()", func() {
		same(must(d.api.TelephonyCredentials.List(d.ctx, telnyx.TelephonyCredentialListParams{})).Meta.PageNumber, 1)
	})
	operation("any.base_url", "option.WithBaseURL", func() {
		slashed := telnyx.NewClient(option.WithBaseURL(os.Getenv("TELNYX_BASE_URL") + "/"))
		same(must(slashed.TelephonyCredentials.Get(d.ctx, d.credential.ID)).Data.ID, d.credential.ID)
	})
	operation("any.auto_paging", "ListAutoPaging", func() {
		tag := unique()
		wanted := map[string]bool{}
		for range 5 {
			one := must(d.api.TelephonyCredentials.New(d.ctx, telnyx.TelephonyCredentialNewParams{ConnectionID: d.connection.ID, Tag: telnyx.String(tag)}))
			wanted[one.Data.ID] = true
		}
		found := all(d.api.TelephonyCredentials.ListAutoPaging(d.ctx, telnyx.TelephonyCredentialListParams{
			PageSize: telnyx.Int(2),
			Filter:   telnyx.TelephonyCredentialListParamsFilter{Tag: telnyx.String(tag)},
		}))
		same(len(found), 5)
		for _, one := range found {
			delete(wanted, one.ID)
		}
		same(len(wanted), 0)
	})
	operation("any.unauthorized", "*telnyx.Error", func() {
		stranger := telnyx.NewClient(option.WithAPIKey(d.facts.UnknownKey))
		_, err := stranger.TelephonyCredentials.List(d.ctx, telnyx.TelephonyCredentialListParams{})
		fails(err, 401, "10009")
	})
	operation("any.unprocessable", "*telnyx.Error", func() {
		_, err := d.api.TelephonyCredentials.New(d.ctx, telnyx.TelephonyCredentialNewParams{})
		same(fails(err, 422, "10004")["source"], any(object{"pointer": "/connection_id"}))
	})
	operation("any.not_found", "*telnyx.Error", func() {
		_, err := d.api.TelephonyCredentials.Get(d.ctx, unknown)
		fails(err, 404, "10005")
	})
}

func (d *driver) removals() {
	operation("telephony_credentials.delete", "TelephonyCredentials.Delete", func() {
		same(must(d.api.TelephonyCredentials.Delete(d.ctx, d.credential.ID)).Data.ID, d.credential.ID)
		_, err := d.api.TelephonyCredentials.Get(d.ctx, d.credential.ID)
		fails(err, 404, "10005")
	})
	operation("credential_connections.delete", "CredentialConnections.Delete", func() {
		same(must(d.api.CredentialConnections.Delete(d.ctx, d.connection.ID)).Data.ID, d.connection.ID)
		_, err := d.api.CredentialConnections.Get(d.ctx, d.connection.ID)
		fails(err, 404, "10005")
	})
	operation("outbound_voice_profiles.delete", "OutboundVoiceProfiles.Delete", func() {
		same(must(d.api.OutboundVoiceProfiles.Delete(d.ctx, d.profile.ID)).Data.ID, d.profile.ID)
		_, err := d.api.OutboundVoiceProfiles.Get(d.ctx, d.profile.ID)
		fails(err, 404, "10005")
	})
}

func (d *driver) get(path string) (answer envelope) {
	check(d.api.Get(d.ctx, strings.TrimPrefix(path, "/"), nil, &answer))
	return answer
}

func (d *driver) list(path string) (answer list) {
	check(d.api.Get(d.ctx, strings.TrimPrefix(path, "/"), nil, &answer))
	return answer
}

// operation runs one operation; method is the SDK's own name for it.
func operation(id, method string, body func()) { run(id, method, "passed", body) }

// generic runs an operation that the SDK has no method for, by its generic request methods.
func generic(id, method string, body func()) { run(id, method, "generic", body) }

func run(id, method, result string, body func()) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", id, reason, debug.Stack())
			result, method = "failed", fmt.Sprintf("%s: %v", method, reason)
		}
		print(object{"operation": id, "result": result, "detail": method})
	}()
	body()
}

func print(line object) { check(json.NewEncoder(os.Stdout).Encode(line)) }

type pager[T any] interface {
	Next() bool
	Current() T
	Err() error
}

// all collects what the SDK's auto-paging yields.
func all[T any](pages pager[T]) (items []T) {
	for pages.Next() {
		items = append(items, pages.Current())
		if len(items) > 10_000 {
			panic("the paging does not end")
		}
	}
	check(pages.Err())
	return items
}

// fails checks an error's type, status and first code; it returns that error's object.
func fails(err error, status int, code string) object {
	var told *telnyx.Error
	if !errors.As(err, &told) {
		panic(fmt.Sprintf("expected a *telnyx.Error, got %v", err))
	}
	same(told.StatusCode, status)
	var body struct {
		Errors []object `json:"errors"`
	}
	check(json.Unmarshal([]byte(told.RawJSON()), &body))
	same(body.Errors[0]["code"], any(code))
	return body.Errors[0]
}

func row(page list, id any) object {
	for _, one := range page.Data {
		if one["id"] == id {
			return one
		}
	}
	panic(fmt.Sprintf("no %v in the list", id))
}

func must[T any](value *T, err error) *T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same[T any](found, wanted T) {
	if !reflect.DeepEqual(found, wanted) {
		panic(fmt.Sprintf("expected %v, got %v", wanted, found))
	}
}

func like(found, pattern string) {
	if !regexp.MustCompile(pattern).MatchString(found) {
		panic(fmt.Sprintf("%q is not like %s", found, pattern))
	}
}

func unique() string {
	bytes := make([]byte, 6)
	_, err := rand.Read(bytes)
	check(err)
	return hex.EncodeToString(bytes)
}

func number() string {
	n, err := rand.Int(rand.Reader, big.NewInt(8_000_000))
	check(err)
	return fmt.Sprintf("+1312%d", n.Int64()+2_000_000)
}
