package cmd

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newKey(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make, list and delete the keys that tokens are signed with",
		Long: "Signing keys are items of the service's KV store, or of the store of a relay on\n" +
			"this machine. Whoever has a key can grant anything; a key that is deleted takes\n" +
			"all tokens signed with it along, except on connections that are open.",
		Example: "  pubsubctl key create --save\n" +
			"  pubsubctl key list",
		Args:              argsNone,
		RunE:              showHelp,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("token mint, help tokens", noJSON("prints help")),
	}
	c.AddCommand(newKeyCreate(d), newKeyList(d), newKeyDelete(d), newKeyImport(d), newKeyRotate(d))
	return c
}

// keyWork is what the commands about keys work with.
type keyWork struct {
	d       deps
	c       *cobra.Command
	account account
	control string
}

// defineKeyStoreFlags adds the flags that say where keys are.
func defineKeyStoreFlags(c *cobra.Command) {
	defineAPIFlags(c)
	c.Flags().String("control", "", "control plane of the relay, as `ADDRESS` or URL; default is GRIP_URL, then "+defaultControl)
}

// keyWork resolves where keys are.
func (d deps) keyWork(c *cobra.Command) (keyWork, error) {
	a, err := d.account(c.Context(), c)
	if err != nil {
		return keyWork{}, err
	}
	w := keyWork{d: d, c: c, account: a}
	w.control, _ = c.Flags().GetString("control")
	return w, nil
}

func (w keyWork) close() { w.account.http.CloseIdleConnections() }

// controlURL is the control plane of the relay.
func (w keyWork) controlURL() string {
	at := w.control
	if at == "" {
		at = w.d.env("GRIP_URL")
	}
	if at == "" {
		at = defaultControl
	}
	if !strings.Contains(at, "://") {
		at = "http://" + at
	}
	if u, err := url.Parse(at); err == nil { // GRIP_URL may carry a path and a key
		return u.Scheme + "://" + u.Host
	}
	return strings.TrimRight(at, "/")
}

// store is where the keys are: the service's KV store or the relay's store.
func (w keyWork) store(ctx context.Context) (provision.KeyStore, error) {
	s := w.account.settings
	switch {
	case w.account.api != nil:
		return provision.PlatformKeys(ctx, w.account.api, s.ServiceID.Text)
	case hosted(s):
		return nil, ui.Problemf(ui.ConfigMissingKey, "no API token is known to look after the keys of service "+s.ServiceID.Text).
			Because("neither FASTLY_API_TOKEN nor context " + quote(s.Context.Text) + " has one").Try(w.aim("pubsubctl context show --resolved"))
	case !config.OnLoopback(s.URL.Text):
		return nil, ui.Problemf(ui.ConfigMissingKey, "it is not known where the keys are").
			Because("context " + quote(s.Context.Text) + " has no service_id, and its address is not of this machine").
			Try("pubsubctl context add " + s.Context.Text + " --service-id ID --api-token env:FASTLY_API_TOKEN")
	}
	admin, err := w.admin(ctx, w.controlURL(), nil)
	return provision.RelayKeys(admin), err
}

// admin is the way to the administration at an address.
func (w keyWork) admin(ctx context.Context, at string, domains []string) (provision.Admin, error) {
	key, err := w.account.appKey(ctx, w.d, domains)
	if err == nil && key == "" {
		err = ui.Problemf(ui.AuthMissing, "no credential is known for /admin/keys").
			Because("there is no Fastly-Key, and the API token is sent to a proven domain of the service only").
			Try("pubsubctl context add " + w.account.settings.Context.Text + " --fastly-key env:FASTLY_API_TOKEN")
	}
	return provision.Admin{URL: at, FastlyKey: config.NewSecret(key), HTTP: w.account.http,
		UserAgent: userAgent(), Timeout: w.d.flags.requestTimeout.D()}, err
}

// domains are those the app may be shown the API token at.
func (w keyWork) domains(ctx context.Context) []string {
	if w.account.api == nil || w.account.settings.FastlyKey.IsSet() || config.OnLoopback(w.account.settings.URL.Text) {
		return nil
	}
	id := w.account.settings.ServiceID.Text
	service, err := w.account.api.Service(ctx, id)
	if err != nil || service.Active == 0 {
		return nil
	}
	all, err := w.account.api.Domains(ctx, id, service.Active)
	var names []string
	for _, domain := range all {
		if err == nil {
			names = append(names, strings.ToLower(domain.Name))
		}
	}
	return names
}

// aim makes a command about keys look where this one does.
func (w keyWork) aim(command string) string {
	if w.control != "" && strings.HasPrefix(command, "pubsubctl key ") {
		command += " --control " + pasteWord(w.control)
	}
	return w.account.aim(command)
}

// problem explains what is in the way; id is the key in question.
func (w keyWork) problem(err error, id string) error {
	s := w.account.settings
	say := func(code ui.Code, text, why, next string) error {
		return ui.Problem{Code: code, Err: errors.New(text), Why: why, Next: w.aim(next), Chain: err}
	}
	if _, done := errors.AsType[ui.Problem](err); done || err == nil {
		return err
	}
	answer, answered := errors.AsType[*provision.AnswerError](err)
	refused, api := errors.AsType[*fastly.APIError](err)
	_, unanswered := errors.AsType[*fastly.UnansweredError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, provision.ErrNoKey):
		return say(ui.NotFoundKey, "there is no key "+quote(id), "the store of "+w.place()+" has none of this id", "pubsubctl key list")
	case errors.Is(err, provision.ErrKeyExists):
		return ui.Problem{Code: ui.APIFailed, Err: errors.New("there is a key " + quote(id) + " already"),
			Why: "tokens signed with it would no longer be valid", Next: sameAgain(w.c, nil, "--replace"), Chain: err}
	case errors.Is(err, provision.ErrKeyGiven):
		return say(ui.APIFailed, "key "+quote(id)+" cannot be changed", "the relay was started with it", "pubsubctl relay --help")
	case errors.Is(err, provision.ErrNoKeyStore) && hosted(s):
		return say(ui.ConfigIncomplete, "the service has no store for keys", "no KV store is linked as keys", "pubsubctl setup --only kv-keys")
	case errors.Is(err, provision.ErrNoKeyStore):
		return say(ui.ConfigIncomplete, "there is no store of keys at "+w.controlURL(), "it is not the control plane of a relay with the Pub/Sub app", "pubsubctl relay")
	case errors.Is(err, provision.ErrAdminOff):
		return ui.Problem{Code: ui.APISwitchedOff, Err: errors.New("the service does not make keys by itself"),
			Why: "404 from /admin/keys: its configuration switches admin off", Next: sameAgain(w.c, nil, "--direct"), Chain: err}
	case errors.Is(err, provision.ErrAdminRefused):
		return say(ui.AuthRefused, "the Fastly-Key is not accepted", "401 from "+w.place()+": it must be a token that may purge the service", "pubsubctl context show --resolved")
	case answered:
		return say(ui.APIServerError, "the key could not be stored", answer.Error(), "pubsubctl doctor")
	case fastly.NotFound(err):
		return say(ui.NotFoundService, "there is no service "+quote(s.ServiceID.Text), refused.Text(), "pubsubctl doctor service")
	case fastly.Auth(err):
		return say(ui.AuthRefused, "the API token does not allow it", refused.Text(), "pubsubctl doctor api-token")
	case api:
		return say(ui.APIFailed, "the platform refused", refused.Text(), "pubsubctl doctor")
	case unanswered:
		return say(ui.NetworkFailed, "cannot reach "+w.account.endpoint, innermost(err), "pubsubctl doctor api")
	}
	return say(ui.NetworkFailed, "cannot reach "+w.place(), innermost(err), w.remedy())
}

// remedy is the command for a place that does not answer.
func (w keyWork) remedy() string {
	if s := w.account.settings; !hosted(s) && config.OnLoopback(s.URL.Text) {
		return relayAt(s.URL.Text)
	}
	return "pubsubctl doctor"
}

// place is what is talked to about keys, for people.
func (w keyWork) place() string {
	s := w.account.settings
	switch {
	case w.account.api != nil:
		return "service " + s.ServiceID.Text
	case config.OnLoopback(s.URL.Text):
		return "the relay at " + s.URL.Text
	}
	return s.URL.Text
}

// keyJSON is what --json prints for a new key.
type keyJSON struct {
	ID    string `json:"id"`
	Value string `json:"value"`
	// Previous is the key a rotation leaves in place.
	Previous string `json:"previous,omitempty"`
}

// printKey prints the value alone; it is the one thing that cannot be had again.
func (w keyWork) printKey(k provision.Key, previous string) error {
	if w.d.flags.json {
		return w.d.output().Write(w.c.Context(), keyJSON{k.ID, k.Value.Reveal(), previous})
	}
	w.d.io.Note("key %s:", k.ID)
	_, err := io.WriteString(w.d.io.Out, k.Value.Reveal()+"\n")
	return err
}

func newKeyList(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:               "list",
		Short:             "List the ids of all signing keys",
		Long:              "List the ids of all signing keys. Their values are never shown.",
		Example:           "  pubsubctl key list\n  pubsubctl key list -c chat --json --jq '.keys[].id'",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("key create, key delete", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := d.keyWork(c)
			if err != nil {
				return err
			}
			defer w.close()
			return w.list()
		},
	}
	defineKeyStoreFlags(c)
	return c
}

// keyRow is one key of the list.
type keyRow struct {
	ID      string `json:"id"`
	Current bool   `json:"current"`
}

func (w keyWork) list() error {
	ctx := w.c.Context()
	store, err := w.store(ctx)
	if err != nil {
		return w.problem(err, "")
	}
	keys, err := store.List(ctx)
	if err != nil {
		return w.problem(err, "")
	}
	rows := []keyRow{}
	for _, k := range keys {
		rows = append(rows, keyRow{k.ID, k.ID == w.account.settings.KeyID.Text})
	}
	if w.d.flags.json {
		return w.d.output().Write(ctx, map[string]any{"keys": rows})
	}
	table := ui.Table{}
	for _, r := range rows {
		table.Rows = append(table.Rows, []string{r.ID, map[bool]string{true: "signs for context " + w.account.settings.Context.Text}[r.Current]})
	}
	if len(rows) == 0 {
		w.d.io.Note("no keys; %s makes one", w.aim("pubsubctl key create --save"))
	}
	return table.Print(w.d.io)
}
