package ui

import (
	"slices"
	"strings"
)

// Code names one kind of problem as category.reason. Codes are part of the
// product: they are never renamed, and what one means never changes.
type Code string

// The codes of pubsubctl. Codes lists what each means.
const (
	UsageUnknownCommand   Code = "usage.unknown_command"
	UsageUnknownFlag      Code = "usage.unknown_flag"
	UsageBadFlag          Code = "usage.bad_flag"
	UsageBadArgument      Code = "usage.bad_argument"
	UsageMissingArgument  Code = "usage.missing_argument"
	UsageMissingInput     Code = "usage.missing_input"
	UsageInputNotAllowed  Code = "usage.input_not_allowed"
	UsageTopicNotPlain    Code = "usage.topic_not_plain"
	UsageTooLarge         Code = "usage.too_large"
	UsageTooManyTopics    Code = "usage.too_many_topics"
	UsageNoTopic          Code = "usage.no_topic"
	UsageTTL              Code = "usage.ttl"
	UsageUnsupported      Code = "usage.unsupported"
	UsageUnsafeListen     Code = "usage.unsafe_listen"
	ConfigUnreadable      Code = "config.unreadable"
	ConfigSyntax          Code = "config.syntax"
	ConfigUnknownKey      Code = "config.unknown_key"
	ConfigBadValue        Code = "config.bad_value"
	ConfigUnknownContext  Code = "config.unknown_context"
	ConfigNotEditable     Code = "config.not_editable"
	ConfigSecretInProject Code = "config.secret_in_project"
	ConfigRedirected      Code = "config.redirected"
	ConfigSecretMissing   Code = "config.secret_missing"
	ConfigSecretExposed   Code = "config.secret_exposed"
	ConfigSecretFailed    Code = "config.secret_failed"
	ConfigSecretLiteral   Code = "config.secret_literal"
	ConfigBadURL          Code = "config.bad_url"
	ConfigMissingURL      Code = "config.missing_url"
	ConfigMissingKey      Code = "config.missing_key"
	ConfigDataLocked      Code = "config.data_locked"
	ConfigDataDamaged     Code = "config.data_damaged"
	ConfigFanoutDisabled  Code = "config.fanout_disabled"
	ConfigIncomplete      Code = "config.service_incomplete"
	AuthMissing           Code = "auth.missing"
	AuthInvalidToken      Code = "auth.invalid_token"
	AuthInvalidHeader     Code = "auth.invalid_header"
	AuthUnknownKey        Code = "auth.unknown_key"
	AuthTopicNotGranted   Code = "auth.topic_not_granted"
	AuthNotUsable         Code = "auth.not_usable"
	AuthRefused           Code = "auth.refused"
	AuthVerifiedNo        Code = "auth.verified_no"
	NotFoundContext       Code = "not_found.context"
	NotFoundKey           Code = "not_found.key"
	NotFoundService       Code = "not_found.service"
	NotFoundLedger        Code = "not_found.ledger"
	NotFoundRoute         Code = "not_found.no_route"
	NetworkDNS            Code = "network.dns"
	NetworkRefused        Code = "network.refused"
	NetworkClosed         Code = "network.closed"
	NetworkSilent         Code = "network.silent"
	NetworkFailed         Code = "network.failed"
	NetworkTLS            Code = "network.tls"
	NetworkAddressInUse   Code = "network.address_in_use"
	TimeoutRequest        Code = "timeout.request"
	TimeoutRun            Code = "timeout.run"
	TimeoutIdle           Code = "timeout.idle"
	TimeoutNotReady       Code = "timeout.not_ready"
	TimeoutNotConfirmed   Code = "timeout.not_confirmed"
	APIBadRequest         Code = "api.bad_request"
	APIResumeRefused      Code = "api.resume_refused"
	APITooLarge           Code = "api.too_large"
	APISwitchedOff        Code = "api.switched_off"
	APIConfiguration      Code = "api.configuration"
	APIFanoutRefused      Code = "api.fanout_refused"
	APIStoreRead          Code = "api.store_read"
	APIStoreWrite         Code = "api.store_write"
	APIPublishFailed      Code = "api.publish_failed"
	APIServerError        Code = "api.server_error"
	APIPlatform           Code = "api.platform"
	APIProtocol           Code = "api.protocol"
	APIFailed             Code = "api.failed"
	APICheckFailed        Code = "api.check_failed"
	APIPartlyDone         Code = "api.partly_done"
	APIBusy               Code = "api.busy"
	FilesystemRead        Code = "filesystem.read"
	FilesystemWrite       Code = "filesystem.write"
	FilesystemExec        Code = "filesystem.exec"
	InternalRequest       Code = "internal.request"
	InternalBug           Code = "internal.bug"
)

// CodeInfo is one row of the table of codes.
type CodeInfo struct {
	Code Code
	// Means is one phrase for people, lower case.
	Means string
	// Exit is set where the code does not exit as its category does.
	Exit Exit
	// Retryable says that the same command may succeed later, unchanged.
	Retryable bool
}

// Codes returns a copy of the table of all codes, ordered by category.
func Codes() []CodeInfo { return slices.Clone(codeTable[:]) }

// codeTable is read only.
var codeTable = [...]CodeInfo{
	{Code: UsageUnknownCommand, Means: "no such command"},
	{Code: UsageUnknownFlag, Means: "no such flag"},
	{Code: UsageBadFlag, Means: "a flag has a value it does not take, or clashes with another"},
	{Code: UsageBadArgument, Means: "an argument is not acceptable"},
	{Code: UsageMissingArgument, Means: "an argument is missing"},
	{Code: UsageMissingInput, Means: "a body was expected and stdin is a terminal"},
	{Code: UsageInputNotAllowed, Means: "a question had to be asked and may not be"},
	{Code: UsageTopicNotPlain, Means: "the topic cannot be published over HTTP under this name"},
	{Code: UsageTooLarge, Means: "the message is larger than a service takes"},
	{Code: UsageTooManyTopics, Means: "more topics than one stream can carry"},
	{Code: UsageNoTopic, Means: "no topic is named"},
	{Code: UsageTTL, Means: "the time to live is not one the service takes"},
	{Code: UsageUnsupported, Means: "not part of this build"},
	{Code: UsageUnsafeListen, Means: "an address others can reach needs keys of your own"},
	{Code: ConfigUnreadable, Means: "a configuration file cannot be read or written"},
	{Code: ConfigSyntax, Means: "a configuration file is not valid TOML"},
	{Code: ConfigUnknownKey, Means: "a configuration file has a key that means nothing"},
	{Code: ConfigBadValue, Means: "a setting has a value it does not take"},
	{Code: ConfigUnknownContext, Means: "the selected context does not exist"},
	{Code: ConfigNotEditable, Means: "the file is written in a way that cannot be changed safely"},
	{Code: ConfigSecretInProject, Means: "a project file holds a secret"},
	{Code: ConfigRedirected, Means: "a project file would send a context's credentials elsewhere"},
	{Code: ConfigSecretMissing, Means: "what a secret reference names does not exist or is empty"},
	{Code: ConfigSecretExposed, Means: "other users can read a secret file"},
	{Code: ConfigSecretFailed, Means: "a secret reference cannot be resolved"},
	{Code: ConfigSecretLiteral, Means: "a secret is written out where only a reference is allowed"},
	{Code: ConfigBadURL, Means: "the address of the service is not a usable URL"},
	{Code: ConfigMissingURL, Means: "no address of a service is known"},
	{Code: ConfigMissingKey, Means: "neither a token nor a key to sign one with is known"},
	{Code: ConfigDataLocked, Means: "another relay uses the data directory"},
	{Code: ConfigDataDamaged, Means: "the data file is damaged or not ours"},
	{Code: ConfigFanoutDisabled, Means: "the service does not hold connections"},
	{Code: ConfigIncomplete, Means: "the service lacks a part it needs"},
	{Code: AuthMissing, Means: "no credential was given"},
	{Code: AuthInvalidToken, Means: "the service does not accept the token"},
	{Code: AuthInvalidHeader, Means: "the service cannot read the Authorization header"},
	{Code: AuthUnknownKey, Means: "the service cannot look up the key the token names", Retryable: true},
	{Code: AuthTopicNotGranted, Means: "the token does not list the topic"},
	{Code: AuthNotUsable, Means: "the text is not a token that can be checked"},
	{Code: AuthRefused, Means: "the credential does not allow this"},
	{Code: AuthVerifiedNo, Means: "the token was checked and does not allow it", Exit: ExitNo},
	{Code: NotFoundContext, Means: "no context of this name"},
	{Code: NotFoundKey, Means: "no key of this id"},
	{Code: NotFoundService, Means: "no service of this id that the API token may see"},
	{Code: NotFoundLedger, Means: "nothing is recorded of the service"},
	{Code: NotFoundRoute, Means: "the address answers, and has no such path"},
	{Code: NetworkDNS, Means: "the name of the host cannot be resolved", Retryable: true},
	{Code: NetworkRefused, Means: "nothing listens at the address", Retryable: true},
	{Code: NetworkClosed, Means: "the connection broke", Retryable: true},
	{Code: NetworkSilent, Means: "the connection went silent", Retryable: true},
	{Code: NetworkFailed, Means: "the address cannot be reached", Retryable: true},
	{Code: NetworkTLS, Means: "the server's certificate is not acceptable"},
	{Code: NetworkAddressInUse, Means: "another program listens on the address", Exit: ExitFailed},
	{Code: TimeoutRequest, Means: "no answer in time", Retryable: true},
	{Code: TimeoutRun, Means: "the time given to the command is over", Retryable: true},
	{Code: TimeoutIdle, Means: "nothing arrived for too long", Retryable: true},
	{Code: TimeoutNotReady, Means: "the relay did not become ready in time", Retryable: true},
	{Code: TimeoutNotConfirmed, Means: "the published message did not come back in time", Exit: ExitNo, Retryable: true},
	{Code: APIBadRequest, Means: "the service calls the request malformed"},
	{Code: APIResumeRefused, Means: "the service does not accept the id to resume from"},
	{Code: APITooLarge, Means: "the service calls the message too large"},
	{Code: APISwitchedOff, Means: "the service has this switched off"},
	{Code: APIConfiguration, Means: "the service cannot read its configuration", Retryable: true},
	{Code: APIFanoutRefused, Means: "the service does not trust the proxy in front of it"},
	{Code: APIStoreRead, Means: "the service cannot read a stored message", Retryable: true},
	{Code: APIStoreWrite, Means: "the service cannot store the message", Retryable: true},
	{Code: APIPublishFailed, Means: "the service cannot hand the message on", Retryable: true},
	{Code: APIServerError, Means: "the service failed", Retryable: true},
	{Code: APIPlatform, Means: "the answer did not come from the Pub/Sub app"},
	{Code: APIProtocol, Means: "the answer is not one of the app"},
	{Code: APIFailed, Means: "it failed, for the reason given"},
	{Code: APICheckFailed, Means: "a check was made and failed", Exit: ExitNo},
	{Code: APIBusy, Means: "another run changes the same", Retryable: true},
	{Code: APIPartlyDone, Means: "part is done; run it again to finish", Exit: ExitPartial, Retryable: true},
	{Code: FilesystemRead, Means: "a file cannot be read"},
	{Code: FilesystemWrite, Means: "a file cannot be written"},
	{Code: FilesystemExec, Means: "a program cannot be started"},
	{Code: InternalRequest, Means: "a request could not be made"},
	{Code: InternalBug, Means: "a bug in pubsubctl"},
}

// Category is the part of c before the dot.
func (c Code) Category() Category {
	cat, _, _ := strings.Cut(string(c), ".")
	return Category(cat)
}

// Info gives the row of c. A code outside the table gets a row that exits as
// its category does.
func (c Code) Info() CodeInfo {
	info := CodeInfo{Code: c}
	for _, row := range codeTable {
		if row.Code == c {
			info = row
		}
	}
	if info.Exit == ExitOK {
		info.Exit = c.Category().Exit()
	}
	return info
}
