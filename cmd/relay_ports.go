package cmd

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// listenProblem is for an address that cannot be had. Its advice names every
// address of the relay that is taken, because a second relay finds both of the
// usual ones taken, and would fail again on the other.
func (o relayOptions) listenProblem(ctx context.Context, e *relay.ListenError) error {
	var why, relays []string
	p := ui.Problemf(ui.NetworkAddressInUse, "cannot listen on "+e.Address).From(e)
	if op, ok := errors.AsType[*net.OpError](e.Err); ok && op.Err != nil {
		why = append(why, innermost(op.Err))
	}
	p.Next = "pubsubctl relay"
	for _, a := range o.planes() {
		if a.address != e.Address && canListen(ctx, a.address) {
			continue
		}
		p.Next += " " + a.flag + " " + freePort
		if host, _, err := net.SplitHostPort(a.address); err == nil && isLoopback(host) && a.relayAnswers(ctx) {
			relays = append(relays, a.address)
		}
	}
	if len(relays) > 0 {
		why = append(why, "a pubsubctl relay answers at "+strings.Join(relays, " and "))
	}
	return p.Because(strings.Join(why, "; "))
}

// plane is one address of a relay, and the answer by which one is known there.
type plane struct{ flag, address, path, answer string }

// planes are the addresses that were asked for.
func (o relayOptions) planes() []plane {
	all := []plane{{"--listen", o.listen, "/", helloApp}}
	if o.control != relay.Off {
		all = append(all, plane{"--control", o.control, "/healthz", "ok\n"})
	}
	if o.platform.on() {
		all = append(all, plane{flag: "--fastly-api", address: o.platform.address})
	}
	return all
}

func (a plane) relayAnswers(ctx context.Context) bool {
	return a.path != "" && question{"http://" + a.address, a.path, a.answer}.ask(ctx) == nil
}

// canListen reports whether an address is free at this moment.
func canListen(ctx context.Context, address string) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close() // nobody has connected
	return true
}
