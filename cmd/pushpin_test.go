package cmd

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay"
)

// servedConf is what fastly compute serve writes (grip.md, 7.5).
const servedConf = `[global]
include={libdir}/internal.conf
rundir=/tmp/pushpin-1234abcd
[runner]
services=connmgr,proxy,handler
http_port=7677
logdir=/home/me/pushpin-logs
log_level=2
client_buffer_size=8192
client_maxconn=20
allow_compression=false
[proxy]
routesfile=/tmp/pushpin-routes-1234abcd
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
x_forwarded_for_trusted=
accept_pushpin_route=true
cdn_loop=
sig_iss=viceroy
sig_key=viceroy_dev_signing_key_dont_use_in_production
upstream_key=
[handler]
push_in_http_addr=0.0.0.0
push_in_http_port=5561
push_in_http_max_headers_size=8192
push_in_http_max_body_size=65536
push_in_spec=tcp://127.0.0.1:5562
push_in_sub_specs=tcp://127.0.0.1:5563
command_spec=tcp://127.0.0.1:5564
message_rate=2500
message_hwm=25000
message_wait=5000
id_cache_ttl=60
update_on_first_subscription=true
connection_subscription_max=20
subscription_linger=60
`

func TestServedConfiguration(t *testing.T) {
	c := pushpinConf{parseINI(servedConf), "/tmp"}
	got, err := c.options(0)
	want := relay.Options{
		Listen: "127.0.0.1:7677", Control: "127.0.0.1:5561", NoApp: true, RoutesFile: "/tmp/pushpin-routes-1234abcd", SkipBadRoutes: true,
		SigIssuer: "viceroy", SigKey: "viceroy_dev_signing_key_dont_use_in_production", RouteHeader: true, ForwardedProto: relay.ProtoOnly,
		PublishLimit: 65536, PublishHeaderLimit: 8192, MaxConns: min(20, relay.DefaultMaxConns()),
		OrderWait: 5 * time.Second, IDLife: time.Minute, Linger: time.Minute, MaxChannels: 20,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v\n%v", got, want, err)
	}
	if names := c.withoutEffect(); len(names) > 0 {
		t.Errorf("%v are said to have no effect", names)
	}
}

func TestPushpinConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name, conf string
		want       func(o relay.Options) bool
	}{
		{"nothing at all", "", func(o relay.Options) bool {
			return o.Listen == "127.0.0.1:7999" && o.Control == "127.0.0.1:5561" && o.RoutesFile == "" && o.SigIssuer == "" && !o.RouteHeader && !o.NoFirstUpdate && o.MaxConns == 0
		}},
		{"an address that was asked for", "[runner]\nhttp_port=0.0.0.0:8000\n[handler]\npush_in_http_addr=192.0.2.1\npush_in_http_port=81", func(o relay.Options) bool {
			return o.Listen == "0.0.0.0:8000" && o.Control == "192.0.2.1:81"
		}},
		{"IPv6", "[runner]\nhttp_port=[::1]:8000\n[handler]\npush_in_http_addr=::", func(o relay.Options) bool {
			return o.Listen == "[::1]:8000" && o.Control == "127.0.0.1:5561"
		}},
		{"paths start at the file", "[proxy]\nroutesfile=routes\nsig_key=file:keys/sig.pem", func(o relay.Options) bool {
			return o.RoutesFile == filepath.Join("conf", "routes") && o.SigKey == "file:"+filepath.Join("conf", "keys", "sig.pem")
		}},
		{"comments, spaces, quotes, the last value", "; one\n# two\n [proxy] \n sig_iss = first \nsig_iss=\"a \\\"b\\\"\"\nnonsense\nsig_key=a=b#c", func(o relay.Options) bool {
			return o.SigIssuer == `a "b"` && o.SigKey == "a=b#c"
		}},
		{"a byte order mark and CRLF", "\ufeff[proxy]\r\nsig_iss=x\r\ndebug=true\r\n", func(o relay.Options) bool {
			return o.SigIssuer == "x" && o.Debug
		}},
		{"what is remembered", "[handler]\nmessage_wait=1500\nid_cache_ttl=2\nsubscription_linger=3\nconnection_subscription_max=4", func(o relay.Options) bool {
			return o.OrderWait == 1500*time.Millisecond && o.IDLife == 2*time.Second && o.Linger == 3*time.Second && o.MaxChannels == 4
		}},
		{"no first update", "[handler]\nupdate_on_first_subscription=false", func(o relay.Options) bool { return o.NoFirstUpdate }},
		{"both protocol headers", "[proxy]\nset_x_forwarded_protocol=true", func(o relay.Options) bool { return o.ForwardedProto == relay.ProtoBoth }},
		{"accepted protocol headers", "[proxy]\naccept_x_forwarded_protocol=true", func(o relay.Options) bool { return o.ForwardedProto == relay.ProtoOnly }},
		{"a proxy in front", "[proxy]\nupstream_key=file:up.pem\ncdn_loop=relay\nx_forwarded_for=\"truncate:0,append\"\nx_forwarded_for_trusted=append", func(o relay.Options) bool {
			return o.UpstreamKey == "file:"+filepath.Join("conf", "up.pem") && o.CDNLoop == "relay" &&
				o.ForwardedFor == relay.ForwardedFor{Truncate: true, Append: true} && o.ForwardedForTrusted == relay.ForwardedFor{Append: true}
		}},
		{"how many stay", "[proxy]\nx_forwarded_for=truncate:2", func(o relay.Options) bool {
			return o.ForwardedFor == relay.ForwardedFor{Truncate: true, Keep: 2}
		}},
		{"CORS on every route", "[proxy]\nauto_cross_origin=true", func(o relay.Options) bool { return o.CORS }},
		{"neither", "[proxy]\nset_x_forwarded_protocol=false", func(o relay.Options) bool { return o.ForwardedProto == relay.ProtoPassed }},
	} {
		o, err := pushpinConf{parseINI(tt.conf), "conf"}.options(0)
		if err != nil || !tt.want(o) {
			t.Errorf("%s: %+v, %v", tt.name, o, err)
		}
	}
	for _, bad := range []string{"[runner]\nhttp_port=x", "[proxy]\nx_forwarded_for=truncate:x", "[proxy]\nx_forwarded_for=prepend", "[runner]\nhttp_port=70000", "[handler]\npush_in_http_port=-1", "[handler]\npush_in_http_max_body_size=1k"} {
		if o, err := (pushpinConf{parseINI(bad), ""}).options(0); err == nil {
			t.Errorf("%q is accepted: %+v", bad, o)
		}
	}
}

// As observed on Pushpin 1.36: an instance's number takes the offset's place.
func TestPushpinInstances(t *testing.T) {
	for _, tt := range []struct {
		conf     string
		instance int
		want     string
	}{
		{"", 0, "127.0.0.1:5561"}, {"", 3, "127.0.0.1:5591"},
		{"[global]\nport_offset=20", 0, "127.0.0.1:5581"}, {"[global]\nport_offset=20", 3, "127.0.0.1:5591"},
		{"[global]\nport_offset=20\n[handler]\npush_in_http_port=0", 0, "127.0.0.1:0"},
	} {
		o, err := pushpinConf{parseINI(tt.conf), ""}.options(tt.instance)
		if err != nil || o.Control != tt.want || o.Listen != "127.0.0.1:7999" {
			t.Errorf("%q, instance %d: %s, %s, %v", tt.conf, tt.instance, o.Listen, o.Control, err)
		}
	}
	if _, err := (pushpinConf{}).options(65535); err == nil {
		t.Error("a port beyond the last is accepted")
	}
}

func TestPushpinNames(t *testing.T) {
	for name, want := range map[string]bool{
		"pushpin": true, "/usr/bin/pushpin": true, "pushpin.exe": true, "PUSHPIN.EXE": true,
		"pubsubctl": false, "pushpin-legacy": false, "/pushpin/pubsubctl": false, "": false,
	} {
		if calledPushpin(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func TestPushpinLines(t *testing.T) {
	at := time.Date(2026, 11, 21, 1, 16, 39, 596_000_000, time.Local)
	for level, want := range map[slog.Level]string{slog.LevelDebug: "DEBUG", slog.LevelInfo: "INFO", slog.LevelWarn: "WARN", slog.LevelError: "ERR"} {
		if got := pushpinHead(at, level); got != "["+want+"] 2026-11-21 01:16:39.596 " {
			t.Errorf("%q", got)
		}
	}
	for text, want := range map[string]slog.Level{"": slog.LevelInfo, "2": slog.LevelInfo, "0": slog.LevelError, "1": slog.LevelWarn, "3": slog.LevelDebug, "proxy:3,1": slog.LevelWarn} {
		if got := pushpinLevel(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Where there are no scripts the launcher is the program itself, linked or copied.
func TestShimWithoutScripts(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "pubsubctl.exe")
	if err := os.WriteFile(self, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := shim{dir: filepath.Join(dir, "bin"), self: self, windows: true}
	path, err := s.write()
	if err != nil || filepath.Base(path) != "pushpin.exe" {
		t.Fatal(path, err)
	}
	if text, err := os.ReadFile(path); string(text) != "a program" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := s.write(); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write(); err == nil {
		t.Error("a program of another's is replaced")
	}
	copied := filepath.Join(dir, "copy.exe")
	if err := linkOrCopy(self, copied); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, ".shim-*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestShimScript(t *testing.T) {
	if got := shimScript("/opt/it's here/pubsubctl"); got != "#!/bin/sh\n"+shimMark+"\nexec '/opt/it'\\''s here/pubsubctl' relay pushpin \"$@\"\n" {
		t.Errorf("%q", got)
	}
	if runtime.GOOS == "windows" {
		return
	}
	dir := t.TempDir()
	path, err := shim{dir: dir, self: "/bin/true"}.write()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestFastlyTOML(t *testing.T) {
	got := fastlyTOML(`C:\Users\me\pushpin.exe`)
	if !strings.HasSuffix(got, "pushpin_path = \"C:\\\\Users\\\\me\\\\pushpin.exe\"\n") {
		t.Errorf("%s", got)
	}
}

func FuzzParseINI(f *testing.F) {
	f.Add(servedConf)
	f.Add("[a]\nb=\"c\\\"d\"\n[")
	f.Fuzz(func(t *testing.T, text string) {
		c := pushpinConf{parseINI(text), "dir"}
		if o, err := c.options(0); err == nil && (o.Listen == "" || o.Control == "") {
			t.Errorf("no address of %q: %+v", text, o)
		}
	})
}
