package cmd

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// platformOptions are the flags about the imitated platform API.
type platformOptions struct{ address string }

func (o *platformOptions) define(f *pflag.FlagSet) {
	f.StringVar(&o.address, "fastly-api", "", "also imitate Fastly's platform API on this `ADDRESS`, with the token local; the app is then what its service makes of it")
}

// on reports whether there is such an API.
func (o *platformOptions) on() bool { return o.address != "" }

// checkPlatform insists on loopback, because everyone knows the token, and refuses flags
// about what the account decides instead.
func (o relayOptions) checkPlatform() error {
	return o.platform.check(map[string]bool{"--data": o.data != "", "--config-item": len(o.items) > 0, "--app none": o.app == "none"})
}

func (o *platformOptions) check(others map[string]bool) error {
	if !o.on() {
		return nil
	}
	for _, flag := range slices.Sorted(maps.Keys(others)) {
		if others[flag] {
			return ui.Problemf(ui.UsageBadFlag, flag+" and --fastly-api exclude each other").
				Because("keys, messages and switches are those of the imitated account, which lives in memory")
		}
	}
	host, _, err := net.SplitHostPort(o.address)
	if err != nil {
		return ui.Problemf(ui.UsageBadFlag, "--fastly-api takes HOST:PORT, not "+quote(o.address))
	}
	if !isLoopback(host) {
		return ui.Problemf(ui.UsageUnsafeListen, "refusing to imitate the platform API on "+o.address).
			Because("everyone knows its token, and " + o.address + " can be reached from other machines").
			Try("pubsubctl relay --fastly-api " + freePort)
	}
	return nil
}

// apply makes an empty account. Its ids differ from run to run: what setup has
// noted about a service of an earlier run must not fit one of this run.
func (o *platformOptions) apply(opt *relay.Options) {
	if !o.on() {
		return
	}
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // never fails
	opt.Platform, opt.FastlyAPI = fastlytest.New(fastlytest.Options{Seed: binary.BigEndian.Uint64(seed[:])}), o.address
}

// greetPlatform says where the API is and how to begin.
func (d deps) greetPlatform(r relay.Ready) {
	if r.FastlyAPI == "" {
		return
	}
	d.io.Note("fastly    %s", r.FastlyAPI)
	_, _ = fmt.Fprintf(d.io.Err, `
Nothing answers on the relay before a service is set up there. In another terminal, with the app's package:

  export FASTLY_API_ENDPOINT=%s FASTLY_API_TOKEN=%s
  pubsubctl setup --name chat --package FILE --publish-token env:FASTLY_API_TOKEN --app-url %s

`, r.FastlyAPI, fastlytest.DefaultToken, r.Hub)
}

// platformEnv is where a command finds the API.
func platformEnv(r relay.Ready) map[string]string {
	if r.FastlyAPI == "" {
		return nil
	}
	return map[string]string{"FASTLY_API_ENDPOINT": r.FastlyAPI, "FASTLY_API_TOKEN": fastlytest.DefaultToken}
}
