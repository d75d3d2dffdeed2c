package provision

import (
	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// The names by which the app opens what it needs. It looks for links of these
// names, whatever the stores behind them are called.
const (
	LinkConfig   = "config"
	LinkSecrets  = "secrets"
	LinkKeys     = "keys"
	LinkMessages = "messages"

	BackendSelf = "self"
	BackendAPI  = "api"

	// SecretPublishToken is the entry of the secret store with which the app publishes.
	SecretPublishToken = "publish-token"
)

// apiHost is where the app publishes; it is built into the app.
const apiHost = "api.fastly.com"

// Step is a part of setting a service up that can be named on the command line.
type Step string

// The steps.
const (
	StepService      Step = "service"
	StepPackage      Step = "package"
	StepDomain       Step = "domain"
	StepBackendSelf  Step = "backend-self"
	StepBackendAPI   Step = "backend-api"
	StepConfigStore  Step = "config-store"
	StepSecretStore  Step = "secret-store"
	StepKVKeys       Step = "kv-keys"
	StepKVMessages   Step = "kv-messages"
	StepFanout       Step = "fanout"
	StepPublishToken Step = "publish-token"
	StepActivate     Step = "activate"
	StepSigningKey   Step = "signing-key"
	StepSelfTest     Step = "self-test"
)

// Steps are all steps in the order in which they are taken. Fanout comes second:
// an account that may not have it is told so before anything else is made.
func Steps() []Step {
	return []Step{StepService, StepFanout, StepPackage, StepDomain, StepBackendSelf, StepBackendAPI, StepConfigStore, StepSecretStore,
		StepKVKeys, StepKVMessages, StepPublishToken, StepActivate, StepSigningKey, StepSelfTest}
}

// Spec is what is wanted.
type Spec struct {
	// Name is the service's, if it is to be made.
	Name string
	// ServiceID is that of a service that exists; Adopt agrees to use it although
	// no ledger tells that this program made it.
	ServiceID string
	Adopt     bool
	// Package is the program; nil keeps the one that is there.
	Package *Archive
	// Domain is the service's name on the network; empty keeps the one that is
	// there, or makes one up.
	Domain string
	// Messages asks for the store that retained messages need. A service that was set
	// up without it goes on without it, until Only is StepKVMessages.
	Messages bool
	// AppURL is where the app answers, if not at https://DOMAIN.
	AppURL string
	// PublishToken is what the app is to publish with; empty keeps the one that is
	// there, and has Env.PublishToken asked if there is none.
	PublishToken config.Secret
	// ConfigItems are switches to set in the config store, by name. Others that are
	// neither true nor false are removed, which means on.
	ConfigItems map[string]bool
	// Test asks for a message to be sent through the service at the end.
	Test bool
	// Only, if not empty, is the one step to take.
	Only Step
}

// wants reports whether a step is to be taken at all.
func (s Spec) wants(step Step) bool { return s.Only == "" || s.Only == step }

// storeOf says which store a step is about.
func storeOf(step Step) (link string, kind fastly.Kind) {
	switch step {
	case StepConfigStore:
		return LinkConfig, fastly.ConfigStore
	case StepSecretStore:
		return LinkSecrets, fastly.SecretStore
	case StepKVKeys:
		return LinkKeys, fastly.KVStore
	case StepKVMessages:
		return LinkMessages, fastly.KVStore
	}
	return "", ""
}

// linkNames are the names under which the app looks for its stores.
func linkNames() []string { return []string{LinkConfig, LinkSecrets, LinkKeys, LinkMessages} }

// storeSteps are the steps that make and link a store.
func storeSteps() []Step { return []Step{StepConfigStore, StepSecretStore, StepKVKeys, StepKVMessages} }

// SelfBackend is how the service has to reach itself: Fanout takes the address,
// whether to use TLS, and the host from it.
func SelfBackend(domain string) fastly.Backend {
	return fastly.Backend{Name: BackendSelf, Address: domain, Comment: managed, Port: 443, TLS: true, CheckCert: true,
		OverrideHost: domain, SNIHostname: domain, CertHostname: domain}
}

// APIBackend is how the app has to reach the platform, to publish.
func APIBackend() fastly.Backend {
	b := SelfBackend(apiHost)
	b.Name = BackendAPI
	return b
}

// managed is the comment on what this program makes.
const managed = "managed by pubsubctl"

// BackendDiff names the members in which two backends differ, in the platform's
// words. Comments do not count.
func BackendDiff(is, want fastly.Backend) []FieldDiff {
	var d []FieldDiff
	text := func(name, is, want string) {
		if is != want {
			d = append(d, FieldDiff{name, quoted(is), quoted(want)})
		}
	}
	text("address", is.Address, want.Address)
	if is.Port != want.Port {
		d = append(d, FieldDiff{"port", itoa(is.Port), itoa(want.Port)})
	}
	if is.TLS != want.TLS {
		d = append(d, FieldDiff{"use_ssl", btoa(is.TLS), btoa(want.TLS)})
	}
	if is.CheckCert != want.CheckCert {
		d = append(d, FieldDiff{"ssl_check_cert", btoa(is.CheckCert), btoa(want.CheckCert)})
	}
	text("override_host", is.OverrideHost, want.OverrideHost)
	text("ssl_sni_hostname", is.SNIHostname, want.SNIHostname)
	text("ssl_cert_hostname", is.CertHostname, want.CertHostname)
	text("shield", is.Shield, want.Shield)
	return d
}

// FieldDiff is a member that is not as wanted.
type FieldDiff struct{ Field, Is, Want string }
