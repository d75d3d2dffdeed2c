package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay"
)

// What Pushpin is where its configuration says nothing.
const (
	pushpinPort        = "7999"
	pushpinPublishPort = 5561
	loopback           = "127.0.0.1"
	// instancePorts is how far the publish ports of two instances are apart.
	instancePorts  = 10
	maxPort        = 1<<16 - 1
	maxPushpinConf = 1 << 20
)

// pushpinConf is Pushpin's configuration file: an INI file, of which keys are
// "section/key". What is not asked for has no effect (grip.md, 7.5).
type pushpinConf struct {
	values map[string]string
	dir    string // relative paths start here
}

// readPushpinConf reads a file; without a name everything is as by default.
func readPushpinConf(path string) (pushpinConf, error) {
	if path == "" {
		return pushpinConf{}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return pushpinConf{}, err
	}
	if info.Size() > maxPushpinConf {
		return pushpinConf{}, fmt.Errorf("%s is larger than %d bytes", path, maxPushpinConf)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return pushpinConf{}, err
	}
	return pushpinConf{parseINI(string(text)), filepath.Dir(path)}, nil
}

// parseINI keeps the last value of a key. Lines that are neither a section nor a
// setting are passed over, as Pushpin does.
func parseINI(text string) map[string]string {
	values, section := map[string]string{}, ""
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[' && line[len(line)-1] == ']':
			section = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok {
			values[section+"/"+strings.TrimSpace(key)] = unquoted(strings.TrimSpace(value))
		}
	}
	return values
}

// unquoted takes off the quotes that protect spaces and commas in INI files.
func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(s[1 : len(s)-1])
	}
	return s
}

func (c pushpinConf) text(key, def string) string { return cmp.Or(c.values[key], def) }

// truth is a switch; what is no switch is off.
func (c pushpinConf) truth(key string, def bool) bool {
	switch strings.ToLower(c.values[key]) {
	case "":
		return def
	case "true", "1", "yes", "on":
		return true
	}
	return false
}

func (c pushpinConf) number(key string, def int) (int, error) {
	text := c.values[key]
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is not a number: %q", key, text)
	}
	return n, nil
}

// path is a file of the configuration, empty if there is none.
func (c pushpinConf) path(key string) string {
	name := c.values[key]
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// options makes a relay's options of the configuration. An instance other than 0
// has its publish port a multiple of ten further, so that several can run.
func (c pushpinConf) options(instance int) (relay.Options, error) {
	o := relay.Options{
		NoApp: true, SkipBadRoutes: true,
		RoutesFile: c.path("proxy/routesfile"), Debug: c.truth("proxy/debug", false),
		RouteHeader:    c.truth("proxy/accept_pushpin_route", false),
		ForwardedProto: c.forwardedProto(),
		SigIssuer:      c.values["proxy/sig_iss"], SigKey: c.key("proxy/sig_key"),
		UpstreamKey: c.key("proxy/upstream_key"), CDNLoop: c.values["proxy/cdn_loop"], CORS: c.truth("proxy/auto_cross_origin", false),
		NoFirstUpdate: !c.truth("handler/update_on_first_subscription", true),
	}
	var err error
	if o.Listen, err = address(c.text("runner/http_port", pushpinPort)); err != nil {
		return o, fmt.Errorf("http_port: %w", err)
	}
	if o.Control, err = c.publishAddress(instance); err != nil {
		return o, err
	}
	conns, err1 := c.number("runner/client_maxconn", 0)
	body, err2 := c.number("handler/push_in_http_max_body_size", 0)
	head, err3 := c.number("handler/push_in_http_max_headers_size", 0)
	if conns > 0 {
		o.MaxConns = min(conns, relay.DefaultMaxConns())
	}
	o.PublishLimit, o.PublishHeaderLimit = int64(body), head
	return o, errors.Join(err1, err2, err3, c.delivery(&o), c.hops(&o))
}

// delivery reads how long what is remembered; 0 leaves the relay's own, which are
// Pushpin's.
func (c pushpinConf) delivery(o *relay.Options) error {
	wait, err1 := c.number("handler/message_wait", 0)
	ids, err2 := c.number("handler/id_cache_ttl", 0)
	linger, err3 := c.number("handler/subscription_linger", 0)
	most, err4 := c.number("handler/connection_subscription_max", 0)
	o.OrderWait, o.IDLife = time.Duration(wait)*time.Millisecond, time.Duration(ids)*time.Second
	o.Linger, o.MaxChannels = time.Duration(linger)*time.Second, most
	return errors.Join(err1, err2, err3, err4)
}

// address reads [ADDRESS:]PORT. A port alone is one of this machine, where
// Pushpin would listen on every network: nobody who starts a development server
// asks for that.
func address(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = loopback, text
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q is no port", text)
	}
	return net.JoinHostPort(host, port), nil
}

// everyAddress reports whether the configuration asks to publish from anywhere.
func (c pushpinConf) everyAddress() bool {
	addr := c.values["handler/push_in_http_addr"]
	ip := net.ParseIP(addr)
	return addr == "*" || ip != nil && ip.IsUnspecified()
}

// publishAddress keeps the publish API, which Pushpin gives no key, on this
// machine where the configuration names no address or all of them, as the one
// that the Fastly CLI writes does.
func (c pushpinConf) publishAddress(instance int) (string, error) {
	host := c.text("handler/push_in_http_addr", loopback)
	if c.everyAddress() {
		host = loopback
	}
	port, err1 := c.number("handler/push_in_http_port", pushpinPublishPort)
	offset, err2 := c.number("global/port_offset", 0)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	if instance > 0 {
		offset = instance * instancePorts
	}
	if port != 0 { // which lets the system choose
		port += offset
	}
	if port > maxPort {
		return "", fmt.Errorf("push_in_http_port: %d is no port", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

func (c pushpinConf) forwardedProto() relay.ForwardedProto {
	switch set := c.values["proxy/set_x_forwarded_protocol"]; {
	case set == "proto-only":
		return relay.ProtoOnly
	case c.truth("proxy/set_x_forwarded_protocol", false):
		return relay.ProtoBoth
	case c.truth("proxy/accept_x_forwarded_protocol", false):
		return relay.ProtoOnly // what clients say is removed; over plain HTTP nothing takes its place
	}
	return relay.ProtoPassed
}

// hops reads what becomes of X-Forwarded-For, from anybody and from a proxy that is
// trusted.
func (c pushpinConf) hops(o *relay.Options) (err error) {
	if o.ForwardedFor, err = c.forwardedFor("proxy/x_forwarded_for"); err != nil {
		return err
	}
	o.ForwardedForTrusted, err = c.forwardedFor("proxy/x_forwarded_for_trusted")
	return err
}

// forwardedFor reads a rule such as "truncate:0,append".
func (c pushpinConf) forwardedFor(name string) (f relay.ForwardedFor, err error) {
	for word := range strings.SplitSeq(c.values[name], ",") {
		word, count, counted := strings.Cut(strings.TrimSpace(word), ":")
		switch {
		case word == "" && !counted:
		case word == "append" && !counted:
			f.Append = true
		case word == "truncate" && counted:
			keep, err := strconv.ParseUint(count, 10, 16)
			if err != nil {
				return f, fmt.Errorf("%s: %q is no number", name, count)
			}
			f.Truncate, f.Keep = true, int(keep)
		default:
			return f, fmt.Errorf("%s takes truncate:N and append, not %q", name, word)
		}
	}
	return f, nil
}

// key is a key as relay.Options takes it.
func (c pushpinConf) key(name string) string {
	key := c.values[name]
	if name, ok := strings.CutPrefix(key, "file:"); ok && !filepath.IsAbs(name) {
		return "file:" + filepath.Join(c.dir, name)
	}
	return key
}

// withoutEffect lists settings that ask for what the relay does otherwise, or
// not at all. What asks for what it does anyway is not among them.
func (c pushpinConf) withoutEffect() []string {
	var names []string
	for key, usual := range map[string]string{
		"runner/https_ports": "", "runner/local_ports": "", "runner/allow_compression": "false",
	} {
		if v := c.values[key]; v != "" && v != usual {
			names = append(names, key[strings.IndexByte(key, '/')+1:])
		}
	}
	return names
}

// pushpinLevel maps Pushpin's numbers, of which "2,proxy:3" has several: the one
// without a name counts.
func pushpinLevel(text string) slog.Level {
	for part := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(part) {
		case "0":
			return slog.LevelError
		case "1":
			return slog.LevelWarn
		case "3", "4":
			return slog.LevelDebug
		}
	}
	return slog.LevelInfo
}
