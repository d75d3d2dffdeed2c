package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/relay/store/boltstore"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// What a relay is unless told otherwise; the built-in context "local" matches it.
const (
	defaultListen    = "127.0.0.1:7999"
	defaultControl   = "127.0.0.1:5561"
	freePort         = "127.0.0.1:0"
	defaultKey       = "test=notasecret"
	defaultFastlyKey = "local"
	// drainTime is less than stopLimit, so that a drain that takes all of it ends
	// in good order.
	drainTime = stopLimit - 500*time.Millisecond
	// bannerTokenTTL is how long the token of the greeting lives.
	bannerTokenTTL = 24 * time.Hour
)

// relayOptions are the flags of relay and relay exec.
type relayOptions struct {
	listen, control           string
	keys, fastlyKeys, items   []string
	data, app                 string
	tlsCert, tlsKey           string
	noPublishToken, noStore   bool
	maxConns                  int
	readyFile                 string
	keysGiven, fastlyKeyGiven bool
	dataGiven                 bool
	origins                   originOptions
	platform                  platformOptions
}

func (o *relayOptions) define(f *pflag.FlagSet, listen, control string) {
	f.StringVar(&o.listen, "listen", listen, "`ADDRESS` of the data plane; port 0 picks one")
	f.StringVar(&o.control, "control", control, "`ADDRESS` of the control plane: publish API, health, metrics; off disables it")
	f.StringArrayVar(&o.keys, "key", []string{defaultKey}, "signing key as `ID=REF`; REF may be env:, keyring:, file:, cmd: or the value; repeatable")
	f.StringArrayVar(&o.fastlyKeys, "fastly-key", []string{defaultFastlyKey}, "accepted Fastly-Key, a `REF`; repeatable")
	f.StringVar(&o.data, "data", "", "keep keys and retained messages in this `DIR`; default is memory")
	o.origins.define(f)
	f.StringVar(&o.app, "app", "pubsub", "what answers where no route matches: pubsub or none")
	f.StringArrayVar(&o.items, "config-item", nil, "item of the app's config store as `NAME=VALUE`: sse, http-publish or admin; repeatable")
	f.BoolVar(&o.noPublishToken, "no-publish-token", false, "behave like a service without a publish token")
	f.BoolVar(&o.noStore, "no-messages-store", false, "behave like a service without a message store")
	o.platform.define(f)
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate `FILE` (PEM) for TLS on the data plane")
	f.StringVar(&o.tlsKey, "tls-key", "", "key `FILE` (PEM) of the certificate")
	f.IntVar(&o.maxConns, "max-conns", 0, "refuse more connections than `N`; default from the limit on open files")
	f.StringVar(&o.readyFile, "ready-file", "", "write the ready line to this `FILE` once everything listens")
	f.SortFlags = false
}

func newRelay(d deps) *cobra.Command {
	var o relayOptions
	c := &cobra.Command{
		Use:   "relay",
		Short: "Run the service on this machine",
		Long: "relay is the whole Pub/Sub service on this machine: what works here works on\n" +
			"Fastly. It prints where it listens and a line for each event, with the reason of\n" +
			"each refusal. Without flags it accepts what the context \"local\" sends, on loopback\n" +
			"only, and keeps everything in memory.\n\n" +
			"With --route or --routes it also is what Pushpin is: a Fanout for any origin, to\n" +
			"which the control plane publishes.",
		Example: "  pubsubctl relay\n" +
			"  pubsubctl relay --route '* localhost:8000,over_http' --app none\n" +
			"  pubsubctl relay --data ./hub --key app=env:APP_KEY\n" +
			"  pubsubctl relay --listen 127.0.0.1:0 --json --ready-file ready.json",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("relay exec, relay wait, relay shim, grip publish, help relay", "the ready line; events as JSON on stderr"),
		RunE: func(c *cobra.Command, _ []string) error {
			o.mark(c.Flags())
			return runRelay(c.Context(), d, o)
		},
	}
	c.Annotations[noteAlone] = "yes"
	o.define(c.Flags(), defaultListen, defaultControl)
	completeRelayFlags(c)
	c.AddCommand(newRelayExec(d), newRelayWait(d), newRelayShim(d), newPushpin(d))
	return c
}

func completeRelayFlags(c *cobra.Command) {
	completeWords(c, "app", "pubsub", "none")
	completeOriginFlags(c)
	completeWords(c, "config-item", "sse=false", "http-publish=false", "admin=false")
	_ = c.MarkFlagDirname("data")
	_ = c.MarkFlagFilename("tls-cert")
	_ = c.MarkFlagFilename("tls-key")
}

func (o *relayOptions) mark(f *pflag.FlagSet) {
	o.keysGiven, o.fastlyKeyGiven, o.dataGiven = f.Changed("key"), f.Changed("fastly-key"), f.Changed("data")
	o.origins.mark(f)
	if o.platform.on() { // what its service has is valid, and what is asked for
		if !o.keysGiven {
			o.keys = nil
		}
		if !o.fastlyKeyGiven {
			o.fastlyKeys = nil
		}
	}
}

// runRelay serves until ctx ends.
func runRelay(ctx context.Context, d deps, o relayOptions) error {
	log := d.relayLog()
	defer log.Close()
	s, opt, err := startRelay(ctx, d, o, slog.New(log))
	if err != nil {
		return err
	}
	err = d.announce(s.Ready(), o, opt.Keys)
	if err == nil {
		err = s.Wait(ctx)
	}
	d.io.Note("stopping")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if late := s.Shutdown(stop); late != nil && err == nil && !errors.Is(late, context.DeadlineExceeded) {
		err = late
	}
	return err
}

// relayLog is the log of events: shown without -v, because they are what a relay
// has to say.
func (d deps) relayLog() *ui.EventLog {
	level := slog.LevelInfo
	switch {
	case d.io.Quiet:
		level = slog.LevelError
	case d.io.Verbose > 1:
		level = slog.LevelDebug
	}
	return newEventLog(d.io, d.flags, level)
}

// startRelay checks the flags, looks up the secrets and starts. It returns what
// the relay was started with, secrets included.
func startRelay(ctx context.Context, d deps, o relayOptions, log *slog.Logger) (*relay.Server, relay.Options, error) {
	if err := o.check(); err != nil {
		return nil, relay.Options{}, err
	}
	opt := relay.Options{
		Listen: o.listen, Control: o.control, Data: d.path(o.data), NoApp: o.app == "none",
		NoPublishToken: o.noPublishToken, NoMessagesStore: o.noStore, MaxConns: o.maxConns,
		TLSCert: d.path(o.tlsCert), TLSKey: d.path(o.tlsKey), Log: log,
	}
	var err error
	if opt.Config, err = o.configItems(d.io.Warn); err != nil {
		return nil, relay.Options{}, err
	}
	if opt.Keys, err = d.relayKeys(ctx, o.keys); err != nil {
		return nil, relay.Options{}, err
	}
	for _, text := range o.fastlyKeys {
		secret, err := d.secret(ctx, config.ParseRef(text))
		if err != nil {
			return nil, relay.Options{}, err
		}
		opt.FastlyKeys = append(opt.FastlyKeys, secret)
	}
	if err := o.origins.apply(ctx, d, &opt); err != nil {
		return nil, relay.Options{}, err
	}
	o.platform.apply(&opt)
	s, err := relay.Start(ctx, opt)
	if e, ok := errors.AsType[*relay.ListenError](err); ok {
		return nil, opt, o.listenProblem(ctx, e)
	}
	return s, opt, relayProblem(err)
}

// check refuses what cannot be meant, before anything is opened.
func (o relayOptions) check() error {
	if o.app != "pubsub" && o.app != "none" {
		return ui.Problemf(ui.UsageBadFlag, "--app takes pubsub or none, not "+quote(o.app)).Try("pubsubctl relay --app pubsub")
	}
	if o.dataGiven && o.data == "" {
		// In memory it would run as well, and lose what was to be kept.
		return ui.Problemf(ui.UsageBadFlag, "--data names no directory").Because("it is empty; is a variable not set?").
			Try("pubsubctl relay --data ./hub")
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return ui.Problemf(ui.UsageBadFlag, "--tls-cert and --tls-key belong together").
			Try("pubsubctl relay --tls-cert cert.pem --tls-key key.pem")
	}
	if o.maxConns < 0 {
		return ui.Problemf(ui.UsageBadFlag, "--max-conns takes a positive number")
	}
	if err := o.checkPlatform(); err != nil {
		return err
	}
	for _, a := range []struct{ flag, address string }{{"--listen", o.listen}, {"--control", o.control}} {
		if a.flag == "--control" && a.address == relay.Off {
			continue
		}
		host, port, err := net.SplitHostPort(a.address)
		if err != nil {
			return ui.Problemf(ui.UsageBadFlag, a.flag+" takes HOST:PORT, not "+quote(a.address)).
				Try("pubsubctl relay " + a.flag + " " + freePort)
		}
		if n, err := strconv.Atoi(port); err == nil && (n < 0 || n > math.MaxUint16) {
			return ui.Problemf(ui.UsageBadFlag, a.flag+" takes a port from 0 to 65535, not "+port).
				Try("pubsubctl relay " + a.flag + " " + freePort)
		}
		if !isLoopback(host) && (!o.keysGiven || !o.fastlyKeyGiven || o.origins.publishKey == "") {
			return ui.Problemf(ui.UsageUnsafeListen, "refusing to listen on "+a.address+" with the built-in keys").
				Because("everyone knows them, and " + a.address + " can be reached from other machines").
				Try("pubsubctl relay " + a.flag + " " + a.address + " --key ID=env:KEY --fastly-key env:FASTLY_KEY --publish-key env:PUBLISH_KEY")
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// configItems reads the items. A name that the app does not read is taken, as the
// service takes it, and said, because it is mostly a slip.
func (o relayOptions) configItems(warn func(format string, args ...any)) (map[string]string, error) {
	items := make(map[string]string, len(o.items))
	for _, text := range o.items {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, ui.Problemf(ui.UsageBadFlag, "--config-item takes NAME=VALUE, not "+quote(text)).
				Try("pubsubctl relay --config-item sse=false")
		}
		if name != "sse" && name != "http-publish" && name != "admin" {
			warn("the app does not read config item %s, only sse, http-publish and admin", quote(name))
		}
		items[name] = value
	}
	return items, nil
}

func (d deps) relayKeys(ctx context.Context, given []string) ([]store.Key, error) {
	var keys []store.Key
	for _, text := range given {
		id, ref, ok := strings.Cut(text, "=")
		if !ok || id == "" {
			return nil, ui.Problemf(ui.UsageBadFlag, "--key takes ID=REF").Try("pubsubctl relay --key app=env:APP_KEY")
		}
		secret, err := d.secret(ctx, config.ParseRef(ref))
		if err != nil {
			return nil, err
		}
		keys = append(keys, store.Key{ID: id, Secret: []byte(secret)})
	}
	return keys, nil
}

// relayProblem gives the errors of a start their advice.
func relayProblem(err error) error {
	var data *relay.StoreError
	var cert *relay.TLSError
	switch {
	case errors.As(err, &data):
		return dataProblem(data)
	case errors.As(err, &cert):
		return ui.Problemf(ui.ConfigBadValue, "the TLS certificate cannot be used").Because(cert.Err.Error()).From(err)
	case errors.Is(err, store.ErrName):
		return ui.Problemf(ui.UsageBadFlag, err.Error()).From(err)
	}
	return originProblem(err)
}

// innermost is the innermost error's text: "address already in use".
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func dataProblem(e *relay.StoreError) error {
	var corrupt *boltstore.CorruptError
	switch {
	case errors.Is(e, boltstore.ErrLocked):
		return ui.Problemf(ui.ConfigDataLocked, "the data in "+e.Dir+" is in use").Because(boltstore.ErrLocked.Error()).
			Try("pubsubctl relay --data " + pasteWord(e.Dir+".new")).From(e)
	case errors.As(e, &corrupt):
		return ui.Problemf(ui.ConfigDataDamaged, "the data in "+e.Dir+" is damaged; nothing was changed").Because(corrupt.Error()).
			Try("pubsubctl relay --data " + pasteWord(e.Dir+".new")).From(e)
	}
	return ui.Problemf(ui.ConfigUnreadable, "the data in "+e.Dir+" cannot be opened").Because(e.Err.Error()).From(e)
}

// announce says where the relay listens: as the ready line, the ready file, and
// as lines to paste.
func (d deps) announce(r relay.Ready, o relayOptions, keys []store.Key) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if d.io.JSON {
		if _, err := d.io.Out.Write(line); err != nil {
			return err
		}
	} else if !d.io.Quiet {
		d.greet(r, o, keys)
	}
	if o.readyFile == "" {
		return nil
	}
	if err := relay.WriteFile(d.path(o.readyFile), line); err != nil {
		return ui.Problemf(ui.FilesystemWrite, "cannot write the ready file "+o.readyFile).Because(innermost(err)).
			Try(beforeWriting(o.readyFile, err)).From(err)
	}
	return nil
}

// greet prints addresses and lines to paste. The token is a secret unless its
// key is the one everybody knows, so it goes to terminals only.
func (d deps) greet(r relay.Ready, o relayOptions, keys []store.Key) {
	d.io.Note("relay     %s", r.Hub)
	if r.Control != "" {
		d.io.Note("control   %s", r.Control)
	}
	d.greetOrigins(r, o)
	d.greetPlatform(r)
	if o.app == "none" || len(keys) == 0 || o.keysGiven && !d.io.ErrTTY {
		return
	}
	tok, err := token.Mint(token.MintOptions{
		KeyID: keys[0].ID, Secret: keys[0].Secret, Read: []string{"test"}, Write: []string{"test"},
		Expires: d.now().Add(bannerTokenTTL),
	})
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(d.io.Err, `
Paste into a second terminal to subscribe, into a third to publish:

  T=%[2]s
  curl -N -H "Authorization: Bearer $T" "%[1]s/events?topic=test"

  T=%[2]s
  curl -d 'hello world' -H "Authorization: Bearer $T" "%[1]s/events?topic=test"

`, r.Hub, tok)
}

// path is a path of the user's, seen from the working directory of the command.
func (d deps) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
}
