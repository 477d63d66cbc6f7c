// Runs every operation with the official Java SDK. How a driver reports: see ../README.md.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.telnyx.sdk.ApiClient;
import com.telnyx.sdk.ApiException;
import com.telnyx.sdk.Pair;
import com.telnyx.sdk.api.AccessTokensApi;
import com.telnyx.sdk.api.ConnectionsApi;
import com.telnyx.sdk.api.CredentialConnectionsApi;
import com.telnyx.sdk.api.CredentialsApi;
import com.telnyx.sdk.api.DebuggingApi;
import com.telnyx.sdk.api.NumberConfigurationsApi;
import com.telnyx.sdk.api.OutboundVoiceProfilesApi;
import com.telnyx.sdk.auth.HttpBearerAuth;
import com.telnyx.sdk.model.AnchorsiteOverride;
import com.telnyx.sdk.model.CallEvent;
import com.telnyx.sdk.model.CallForwarding;
import com.telnyx.sdk.model.Connection;
import com.telnyx.sdk.model.CreateCredentialConnectionRequest;
import com.telnyx.sdk.model.CreateOutboundVoiceProfileRequest;
import com.telnyx.sdk.model.CredentialConnection;
import com.telnyx.sdk.model.CredentialInbound;
import com.telnyx.sdk.model.CredentialOutbound;
import com.telnyx.sdk.model.DtmfType;
import com.telnyx.sdk.model.ListTagsResponseData;
import com.telnyx.sdk.model.OutboundCallRecording;
import com.telnyx.sdk.model.OutboundVoiceProfile;
import com.telnyx.sdk.model.PhoneNumberWithVoiceSettings;
import com.telnyx.sdk.model.TelephonyCredential;
import com.telnyx.sdk.model.TelephonyCredentialCreateRequest;
import com.telnyx.sdk.model.TelephonyCredentialUpdateRequest;
import com.telnyx.sdk.model.UpdateCredentialConnectionRequest;
import com.telnyx.sdk.model.UpdateOutboundVoiceProfileRequest;
import com.telnyx.sdk.model.UpdatePhoneNumberVoiceSettingsRequest;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import javax.ws.rs.core.GenericType;

final class Driver {
    private static final String UUID_LIKE = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    private static final String NUMERIC = "\\d{18,19}";
    private static final String TIME = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z";
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static final String BASE_URL = System.getenv("TELNYX_BASE_URL");
    private static final ApiClient CLIENT = client(BASE_URL, System.getenv("TELNYX_API_KEY"));
    private static final CredentialsApi CREDENTIALS = new CredentialsApi(CLIENT);
    private static final AccessTokensApi TOKENS = new AccessTokensApi(CLIENT);
    private static final CredentialConnectionsApi CREDENTIAL_CONNECTIONS = new CredentialConnectionsApi(CLIENT);
    private static final ConnectionsApi CONNECTIONS = new ConnectionsApi(CLIENT);
    private static final OutboundVoiceProfilesApi PROFILES = new OutboundVoiceProfilesApi(CLIENT);
    private static final NumberConfigurationsApi NUMBERS = new NumberConfigurationsApi(CLIENT);
    private static final DebuggingApi DEBUGGING = new DebuggingApi(CLIENT);

    private static JsonNode facts;
    private static OutboundVoiceProfile profile;
    private static CredentialConnection connection;
    private static TelephonyCredential credential;
    private static JsonNode made;

    private Driver() {}

    /** The two lines that a customer's program changes: the base path and the key. */
    private static ApiClient client(String baseUrl, String key) {
        ApiClient client = new ApiClient();
        client.setBasePath(baseUrl);
        ((HttpBearerAuth) client.getAuthentication("bearerAuth")).setBearerToken(key);
        return client;
    }

    public static void main(String[] args) throws Exception {
        facts = MAPPER.readTree(System.getenv("RINGTRIP_SDK_FACTS"));
        System.out.println(MAPPER.writeValueAsString(Map.of("sdk", "com.telnyx.sdk:telnyx " + System.getProperty("sdk.version"))));
        account();
        profiles();
        connections();
        credentials();
        numbers();
        push();
        history();
        trunks();
        anything();
        removals();
    }

    private static void account() {
        generic("whoami.retrieve", () -> {
            JsonNode data = call("GET", "/whoami", null).get("data");
            same(data.get("user_id").asText(), facts.get("user_id").asText());
        });
        generic("balance.retrieve", () -> {
            JsonNode data = call("GET", "/balance", null).get("data");
            same(data.get("record_type").asText(), "balance");
            like(data.get("balance").asText(), "-?\\d+\\.\\d\\d");
        });
        generic("account.retrieve", () -> {
            JsonNode data = call("GET", "/account", null).get("data");
            same(data.get("id").asText(), facts.get("user_id").asText());
        });
        String name = "java " + unique();
        generic("api_keys.create", () -> {
            made = call("POST", "/api_keys", Map.of("name", name)).get("data");
            like(made.get("api_key").asText(), "KEY[0-9A-F]{32}_[A-Za-z0-9]{22}");
        });
        generic("api_keys.list", () -> {
            JsonNode row = row(call("GET", "/api_keys", null, "page[size]", "250"), made.get("id").asText());
            same(row.get("name").asText(), name);
        });
        generic("api_keys.update", () -> {
            JsonNode data = call("PATCH", "/api_keys/" + made.get("id").asText(), Map.of("name", name + " renamed")).get("data");
            same(data.get("name").asText(), name + " renamed");
        });
        generic("api_keys.delete", () -> {
            call("DELETE", "/api_keys/" + made.get("id").asText(), null);
            CredentialsApi dead = new CredentialsApi(client(BASE_URL, made.get("api_key").asText()));
            fails(401, "10009", () -> dead.findTelephonyCredentials().execute());
        });
    }

    private static void profiles() {
        String name = "java " + unique();
        operation("outbound_voice_profiles.create", "OutboundVoiceProfilesApi.createOutboundVoiceProfile", () -> {
            profile = PROFILES.createOutboundVoiceProfile(new CreateOutboundVoiceProfileRequest()
                    .name(name)
                    .whitelistedDestinations(List.of("US", "DE"))
                    .concurrentCallLimit(7)
                    .dailySpendLimit("12.50")
                    .dailySpendLimitEnabled(true)
                    .maxDestinationRate(new BigDecimal("0.25"))
                    .tags(List.of("a", "b"))
                    .callRecording(new OutboundCallRecording()
                            .callRecordingType(OutboundCallRecording.CallRecordingTypeEnum.ALL)
                            .callRecordingChannels(OutboundCallRecording.CallRecordingChannelsEnum.DUAL))).getData();
            like(profile.getId(), NUMERIC);
            same(profile.getRecordType(), "outbound_voice_profile");
            same(profile.getName(), name);
            same(profile.getWhitelistedDestinations(), List.of("US", "DE"));
            same(profile.getConcurrentCallLimit(), 7);
            same(profile.getDailySpendLimit(), "12.50");
            same(profile.getMaxDestinationRate().compareTo(new BigDecimal("0.25")), 0);
            same(profile.getTags(), List.of("a", "b"));
            same(profile.getCallRecording().getCallRecordingChannels(), OutboundCallRecording.CallRecordingChannelsEnum.DUAL);
            same(profile.getEnabled(), true);
            same(profile.getConnectionsCount(), 0);
            like(profile.getCreatedAt(), TIME);
        });
        operation("outbound_voice_profiles.retrieve", "OutboundVoiceProfilesApi.retrieveOutboundVoiceProfile", () ->
            same(PROFILES.retrieveOutboundVoiceProfile(profile.getId()).getData(), profile));
        operation("outbound_voice_profiles.list", "OutboundVoiceProfilesApi.listOutboundVoiceProfiles", () -> {
            var page = PROFILES.listOutboundVoiceProfiles().filterNameContains(name.toUpperCase()).sort("name").execute();
            same(page.getMeta().getTotalResults(), 1);
            same(page.getData(), List.of(profile));
        });
        operation("outbound_voice_profiles.update", "OutboundVoiceProfilesApi.updateOutboundVoiceProfile", () -> {
            var changed = PROFILES.updateOutboundVoiceProfile(profile.getId(), new UpdateOutboundVoiceProfileRequest()
                    .name(name + " changed").enabled(false).whitelistedDestinations(List.of("FR"))).getData();
            same(changed.getName(), name + " changed");
            same(changed.getEnabled(), false);
            same(changed.getWhitelistedDestinations(), List.of("FR"));
            same(changed.getConcurrentCallLimit(), 7);
        });
    }

    private static void connections() {
        String tag = unique();
        operation("credential_connections.create", "CredentialConnectionsApi.createCredentialConnection", () -> {
            connection = CREDENTIAL_CONNECTIONS.createCredentialConnection(new CreateCredentialConnectionRequest()
                    .connectionName("java " + tag)
                    .userName("j" + tag)
                    .password("p" + tag)
                    .inbound(new CredentialInbound().codecs(List.of("OPUS", "G722")))
                    .outbound(new CredentialOutbound().outboundVoiceProfileId(profile.getId()).localization("DE"))
                    .webhookEventUrl("https://example.com/hook")).getData();
            like(connection.getId(), NUMERIC);
            same(connection.getRecordType(), "credential_connection");
            same(connection.getPassword(), "p" + tag);
            same(connection.getActive(), true);
            same(connection.getAnchorsiteOverride(), AnchorsiteOverride.LATENCY);
            same(connection.getDtmfType(), DtmfType.RFC_2833);
            same(connection.getInbound().getCodecs(), List.of("OPUS", "G722"));
            same(connection.getInbound().getTimeout1xxSecs(), 3);
            // The SDK has this number as text, and sends its default so: "90".
            same(connection.getInbound().getTimeout2xxSecs(), "90");
            same(connection.getOutbound().getLocalization(), "DE");
            same(connection.getOutbound().getOutboundVoiceProfileId(), profile.getId());
        });
        operation("credential_connections.retrieve", "CredentialConnectionsApi.retrieveCredentialConnection", () ->
            same(CREDENTIAL_CONNECTIONS.retrieveCredentialConnection(connection.getId()).getData(), connection));
        operation("credential_connections.list", "CredentialConnectionsApi.listCredentialConnections", () -> {
            var page = CREDENTIAL_CONNECTIONS.listCredentialConnections()
                    .filterConnectionNameContains(tag.toUpperCase()).sort("connection_name").execute();
            same(page.getMeta().getTotalResults(), 1);
            same(page.getData(), List.of(connection));
            var own = CREDENTIAL_CONNECTIONS.listCredentialConnections()
                    .filterOutboundOutboundVoiceProfileId(profile.getId()).execute();
            same(own.getData(), List.of(connection));
        });
        operation("credential_connections.update", "CredentialConnectionsApi.updateCredentialConnection", () -> {
            var changed = CREDENTIAL_CONNECTIONS.updateCredentialConnection(connection.getId(),
                    new UpdateCredentialConnectionRequest()
                            .active(false)
                            .outbound(new CredentialOutbound().localization("FR"))).getData();
            same(changed.getActive(), false);
            same(changed.getInbound().getCodecs(), List.of("OPUS", "G722"));
            same(changed.getOutbound().getLocalization(), "FR");
            same(changed.getOutbound().getOutboundVoiceProfileId(), profile.getId());
            CREDENTIAL_CONNECTIONS.updateCredentialConnection(connection.getId(), new UpdateCredentialConnectionRequest().active(true));
        });
        generic("credential_connections.check_registration_status", () -> {
            JsonNode data = call("POST", "/credential_connections/" + connection.getId() + "/actions/check_registration_status", null).get("data");
            same(data.get("record_type").asText(), "registration_status");
            same(data.get("status").asText(), "Not Registered");
        });
        operation("connections.retrieve", "ConnectionsApi.retrieveConnection", () -> {
            Connection found = CONNECTIONS.retrieveConnection(connection.getId()).getData();
            same(found.getId(), connection.getId());
            same(found.getRecordType(), "credential_connection");
            same(found.getConnectionName(), "java " + tag);
            same(found.getOutboundVoiceProfileId(), profile.getId());
        });
        operation("connections.list", "ConnectionsApi.listConnections", () -> {
            var page = CONNECTIONS.listConnections().filterConnectionNameContains(tag).sort("connection_name").execute();
            same(page.getData().size(), 1);
            same(page.getData().get(0).getId(), connection.getId());
        });
        generic("connections.list_active_calls", () -> {
            JsonNode calls = call("GET", "/connections/" + facts.at("/live/connection_id").asText() + "/active_calls", null).get("data");
            same(calls.size(), 1);
            same(calls.get(0).get("record_type").asText(), "call");
        });
    }

    private static void credentials() {
        String tag = "tag " + unique() + " + & %";
        operation("telephony_credentials.create", "CredentialsApi.createTelephonyCredential", () -> {
            credential = CREDENTIALS.createTelephonyCredential(new TelephonyCredentialCreateRequest()
                    .connectionId(connection.getId()).name("Front desk").tag(tag)).getData();
            like(credential.getId(), UUID_LIKE);
            same(credential.getRecordType(), "credential");
            same(credential.getName(), "Front desk");
            same(credential.getResourceId(), "connection:" + connection.getId());
            same(credential.getExpired(), false);
            same(credential.getExpiresAt(), null);
            like(credential.getSipUsername(), "gencred[A-Za-z0-9]{42}");
            like(credential.getSipPassword(), "[0-9a-f]{32}");
        });
        operation("telephony_credentials.retrieve", "CredentialsApi.getTelephonyCredential", () ->
            same(CREDENTIALS.getTelephonyCredential(credential.getId()).getData(), credential));
        operation("telephony_credentials.list", "CredentialsApi.findTelephonyCredentials", () -> {
            same(CREDENTIALS.findTelephonyCredentials().filterTag(tag).execute().getData(), List.of(credential));
            same(CREDENTIALS.findTelephonyCredentials().filterSipUsername(credential.getSipUsername()).execute().getData(), List.of(credential));
            same(CREDENTIALS.findTelephonyCredentials().filterResourceId("connection:" + connection.getId()).execute().getData(), List.of(credential));
            same(CREDENTIALS.findTelephonyCredentials().filterTag(tag).filterStatus("expired").execute().getData(), List.of());
        });
        operation("telephony_credentials.update", "CredentialsApi.updateTelephonyCredential", () -> {
            var changed = CREDENTIALS.updateTelephonyCredential(credential.getId(), new TelephonyCredentialUpdateRequest()
                    .name("Back office").expiresAt("2099-01-02T03:04:05+02:00")).getData();
            same(changed.getName(), "Back office");
            same(changed.getExpiresAt(), "2099-01-02T01:04:05.000Z");
            same(changed.getSipPassword(), credential.getSipPassword());
        });
        operation("telephony_credentials.create_token", "AccessTokensApi.createTelephonyCredentialToken", () -> {
            String token = TOKENS.createTelephonyCredentialToken(credential.getId());
            same(token.split("\\.").length, 3);
            same(token, token.strip());
        });
        operation("telephony_credentials.deactivate", "CredentialsApi.telephonyCredentialAction", () -> {
            same(CREDENTIALS.telephonyCredentialAction(credential.getId(), "deactivate").getData().getId(), credential.getId());
            try {
                TOKENS.createTelephonyCredentialToken(credential.getId());
                throw new AssertionError("an inactive credential makes no token");
            } catch (ApiException error) {
                same(error.getCode() / 100, 4);
            }
        });
        operation("telephony_credentials.activate", "CredentialsApi.telephonyCredentialAction", () -> {
            same(CREDENTIALS.telephonyCredentialAction(credential.getId(), "activate").getData().getId(), credential.getId());
            same(TOKENS.createTelephonyCredentialToken(credential.getId()).split("\\.").length, 3);
        });
        operation("telephony_credentials.list_tags", "CredentialsApi.listTags", () -> {
            var page = CREDENTIALS.listTags(1, 250);
            var rows = page.getData().stream().filter(row -> tag.equals(row.getTag())).toList();
            same(rows, List.of(new ListTagsResponseData().tag(tag).amount(1)));
            same(page.getMeta().getPageNumber(), 1);
        });
    }

    private static void numbers() {
        String phoneNumber = "+1312" + ThreadLocalRandom.current().nextInt(2_000_000, 10_000_000);
        String digits = phoneNumber.substring(1);
        generic("phone_numbers.create", () -> {
            made = call("POST", "/phone_numbers", Map.of("phone_number", phoneNumber)).get("data");
            like(made.get("id").asText(), NUMERIC);
        });
        // The SDK's own methods refuse today's kinds of numbers: of phone_number_type it knows longcode and tollfree only.
        generic("phone_numbers.retrieve", () -> {
            JsonNode found = call("GET", "/phone_numbers/" + numberId(), null).get("data");
            same(found, made);
        });
        generic("phone_numbers.update", () -> {
            JsonNode changed = call("PATCH", "/phone_numbers/" + numberId(), Map.of(
                    "connection_id", connection.getId(), "tags", List.of("desk"), "customer_reference", "ref 1")).get("data");
            same(changed.get("connection_id").asText(), connection.getId());
            same(changed.get("connection_name").asText(), connection.getConnectionName());
            same(changed.get("customer_reference").asText(), "ref 1");
        });
        generic("phone_numbers.list", () -> {
            JsonNode page = call("GET", "/phone_numbers", null, "filter[phone_number]", digits, "filter[tag]", "desk", "sort", "phone_number");
            same(page.at("/meta/total_results").asInt(), 1);
            row(page, numberId());
            JsonNode named = call("GET", "/phone_numbers", null, "filter[voice.connection_name][eq]", connection.getConnectionName());
            same(named.at("/meta/total_results").asInt(), 1);
        });
        operation("phone_numbers.voice.retrieve", "NumberConfigurationsApi.retrievePhoneNumberWithVoiceSettings", () -> {
            var found = NUMBERS.retrievePhoneNumberWithVoiceSettings(numberId()).getData();
            same(found.getRecordType(), "voice_settings");
            same(found.getPhoneNumber(), phoneNumber);
            same(found.getConnectionId(), connection.getId());
        });
        operation("phone_numbers.voice.update", "NumberConfigurationsApi.updatePhoneNumberWithVoiceSettings", () -> {
            var changed = NUMBERS.updatePhoneNumberWithVoiceSettings(numberId(), new UpdatePhoneNumberVoiceSettingsRequest()
                    .callForwarding(new CallForwarding().callForwardingEnabled(true).forwardsTo("+13125550123")
                            .forwardingType(CallForwarding.ForwardingTypeEnum.ALWAYS))).getData();
            same(changed.getCallForwarding().getForwardsTo(), "+13125550123");
            // The SDK's other word, "on_failure", is not today's "on-failure".
            same(changed.getCallForwarding().getForwardingType(), CallForwarding.ForwardingTypeEnum.ALWAYS);
        });
        operation("phone_numbers.voice.list", "NumberConfigurationsApi.listPhoneNumbersWithVoiceSettings", () -> {
            var page = NUMBERS.listPhoneNumbersWithVoiceSettings().filterPhoneNumber(digits).execute();
            same(page.getData().stream().map(PhoneNumberWithVoiceSettings::getId).toList(), List.of(numberId()));
        });
        generic("phone_numbers.delete", () -> {
            String path = "/phone_numbers/" + numberId();
            same(call("DELETE", path, null).at("/data/id").asText(), numberId());
            fails(404, "10005", () -> call("GET", path, null));
        });
    }

    private static String numberId() {
        return made.get("id").asText();
    }

    private static void push() {
        String alias = "java " + unique();
        generic("mobile_push_credentials.create", () -> {
            JsonNode project = facts.at("/push/project_account_json_file");
            made = call("POST", "/mobile_push_credentials",
                    Map.of("type", "android", "alias", alias, "project_account_json_file", project)).get("data");
            like(made.get("id").asText(), UUID_LIKE);
        });
        generic("mobile_push_credentials.retrieve", () ->
            same(call("GET", "/mobile_push_credentials/" + made.get("id").asText(), null).get("data"), made));
        generic("mobile_push_credentials.list", () ->
            same(call("GET", "/mobile_push_credentials", null, "filter[alias]", alias).get("data").get(0), made));
        generic("mobile_push_credentials.delete", () -> {
            String path = "/mobile_push_credentials/" + made.get("id").asText();
            call("DELETE", path, null);
            fails(404, "10005", () -> call("GET", path, null));
        });
    }

    private static void history() {
        generic("detail_records.list", () -> {
            JsonNode page = call("GET", "/detail_records", null,
                    "filter[record_type]", "webrtc", "filter[date_range]", "today", "page[size]", "50");
            boolean found = false;
            for (JsonNode record : page.get("data")) {
                found |= record.get("connection_id").equals(facts.at("/ended/connection_id"));
            }
            same(found, true);
        });
        operation("call_events.list", "DebuggingApi.listCallEvents", () -> {
            String leg = facts.at("/ended/leg_id").asText();
            List<String> names = new ArrayList<>();
            int pages = 1;
            for (int page = 1; page <= pages; page++) {
                var answer = DEBUGGING.listCallEvents().pageNumber(page).pageSize(250).execute();
                pages = answer.getMeta().getTotalPages();
                for (CallEvent event : answer.getData()) {
                    same(event.getRecordType(), CallEvent.RecordTypeEnum.CALL_EVENT);
                    if (leg.equals(event.getCallLegId())) {
                        names.add(event.getName());
                    }
                }
            }
            same(names.contains("call.hangup"), true);
        });
        generic("voice_sdk_call_reports.list", () ->
            same(call("GET", "/voice_sdk_call_reports", null, "sort", "desc").get("data").isArray(), true));
        generic("voice_sdk_call_reports.retrieve", () -> {
            JsonNode reports = call("GET", "/voice_sdk_call_reports/" + facts.at("/ended/call_id").asText(), null);
            same(reports.get(0).get("call_id"), facts.at("/ended/call_id"));
        });
        generic("webhook_deliveries.list", () -> {
            made = call("GET", "/webhook_deliveries", null, "filter[status][eq]", "delivered").get("data").get(0);
            same(made.get("record_type").asText(), "webhook_delivery");
        });
        generic("webhook_deliveries.retrieve", () ->
            same(call("GET", "/webhook_deliveries/" + made.get("id").asText(), null).get("data"), made));
        generic("sip_registration_status.retrieve", () -> {
            JsonNode status = call("GET", "/sip_registration_status", null,
                    "credential_type", "telephony_credential", "username", credential.getSipUsername());
            same(status.get("registered").asBoolean(true), false);
        });
    }

    private static void trunks() {
        String name = "java " + unique();
        generic("trunks.create", () -> {
            made = call("POST", "/trunks", Map.of("name", name, "host", "sip.carrier.example", "transport", "udp")).get("data");
            same(made.get("record_type").asText(), "trunk");
        });
        generic("trunks.retrieve", () ->
            same(call("GET", "/trunks/" + made.get("id").asText(), null).get("data").get("name").asText(), name));
        generic("trunks.list", () ->
            row(call("GET", "/trunks", null, "page[size]", "250"), made.get("id").asText()));
        generic("trunks.update", () ->
            same(call("PATCH", "/trunks/" + made.get("id").asText(), Map.of("priority", 7)).get("data").get("priority").asInt(), 7));
        generic("trunks.delete", () -> {
            String path = "/trunks/" + made.get("id").asText();
            same(call("DELETE", path, null).get("data").get("id"), made.get("id"));
            fails(404, "10005", () -> call("GET", path, null));
        });
    }

    private static void anything() {
        report("any.environment", "absent", "this generation of the SDK reads no environment: ApiClient.setBasePath and setBearerToken");
        operation("any.base_url", "ApiClient.setBasePath", () -> {
            CredentialsApi slashed = new CredentialsApi(client(BASE_URL + "/", System.getenv("TELNYX_API_KEY")));
            same(slashed.getTelephonyCredential(credential.getId()).getData().getId(), credential.getId());
        });
        report("any.auto_paging", "absent", "this generation of the SDK asks for one page at a time");
        operation("any.unauthorized", "ApiException", () -> {
            CredentialsApi stranger = new CredentialsApi(client(BASE_URL, facts.get("unknown_key").asText()));
            fails(401, "10009", () -> stranger.findTelephonyCredentials().execute());
        });
        operation("any.unprocessable", "ApiException", () -> {
            JsonNode error = fails(422, "10004", () -> CREDENTIALS.createTelephonyCredential(new TelephonyCredentialCreateRequest().connectionId("")));
            same(error.at("/source/pointer").asText(), "/connection_id");
        });
        operation("any.not_found", "ApiException", () ->
            fails(404, "10005", () -> CREDENTIALS.getTelephonyCredential("00000000-0000-4000-8000-000000000000")));
    }

    private static void removals() {
        operation("telephony_credentials.delete", "CredentialsApi.deleteTelephonyCredential", () -> {
            same(CREDENTIALS.deleteTelephonyCredential(credential.getId()).getData().getId(), credential.getId());
            fails(404, "10005", () -> CREDENTIALS.getTelephonyCredential(credential.getId()));
        });
        operation("credential_connections.delete", "CredentialConnectionsApi.deleteCredentialConnection", () -> {
            same(CREDENTIAL_CONNECTIONS.deleteCredentialConnection(connection.getId()).getData().getId(), connection.getId());
            fails(404, "10005", () -> CREDENTIAL_CONNECTIONS.retrieveCredentialConnection(connection.getId()));
        });
        operation("outbound_voice_profiles.delete", "OutboundVoiceProfilesApi.deleteOutboundVoiceProfile", () -> {
            same(PROFILES.deleteOutboundVoiceProfile(profile.getId()).getData().getId(), profile.getId());
            fails(404, "10005", () -> PROFILES.retrieveOutboundVoiceProfile(profile.getId()));
        });
    }

    private interface Body {
        void run() throws Exception;
    }

    /** Runs one operation. {@code method} is the SDK's own name for it. */
    private static void operation(String id, String method, Body body) {
        run(id, method, "passed", body);
    }

    /** Runs an operation that the SDK has no method for, by its generic request method. */
    private static void generic(String id, Body body) {
        run(id, "ApiClient.invokeAPI", "generic", body);
    }

    private static void run(String id, String method, String result, Body body) {
        try {
            body.run();
            report(id, result, method);
        } catch (Exception | AssertionError error) {
            error.printStackTrace();
            String answer = error instanceof ApiException told ? told.getCode() + " " + told.getResponseBody() : "";
            report(id, "failed", method + ": " + error + " " + answer);
        }
    }

    private static void report(String id, String result, String detail) {
        try {
            System.out.println(MAPPER.writeValueAsString(Map.of("operation", id, "result", result, "detail", detail)));
        } catch (java.io.IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Sends a request with the SDK's generic method; {@code query} is names and values in turn. */
    private static JsonNode call(String method, String path, Object body, String... query) throws ApiException {
        List<Pair> pairs = new ArrayList<>();
        for (int i = 0; i < query.length; i += 2) {
            pairs.add(new Pair(query[i], query[i + 1]));
        }
        var answer = CLIENT.invokeAPI(path, method, pairs, body, new HashMap<>(), new HashMap<>(), new HashMap<>(),
                "application/json", "application/json", new String[] {"bearerAuth"}, new GenericType<JsonNode>() {}, false);
        return answer.getData();
    }

    private static JsonNode row(JsonNode page, String id) {
        for (JsonNode row : page.get("data")) {
            if (row.get("id").asText().equals(id)) {
                return row;
            }
        }
        throw new AssertionError("no " + id + " in " + page);
    }

    /** Checks the status and the first error's code; returns that error. */
    private static JsonNode fails(int status, String code, Body body) throws Exception {
        try {
            body.run();
        } catch (ApiException error) {
            same(error.getCode(), status);
            JsonNode first = MAPPER.readTree(error.getResponseBody()).at("/errors/0");
            same(first.get("code").asText(), code);
            return first;
        }
        throw new AssertionError("expected an ApiException");
    }

    private static void same(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) {
            throw new AssertionError("expected " + wanted + ", got " + found);
        }
    }

    private static void like(String found, String pattern) {
        if (found == null || !found.matches(pattern)) {
            throw new AssertionError(found + " is not like " + pattern);
        }
    }

    private static String unique() {
        return Long.toHexString(ThreadLocalRandom.current().nextLong(1L << 44, 1L << 48));
    }
}
