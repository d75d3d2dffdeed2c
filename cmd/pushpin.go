package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

const (
	// pushpinName is the program whose place the relay can take.
	pushpinName = "pushpin"
	// pushpinVersion is the version of Pushpin that it behaves like.
	pushpinVersion = "1.41.0"
	// pushpinGrace is how long held connections have at the end. Whoever starts
	// Pushpin kills it without any.
	pushpinGrace = 300 * time.Millisecond
)

// calledPushpin reports whether the program was started under Pushpin's name,
// which is how it takes its place where a script cannot (grip.md, 7.2).
func calledPushpin(arg0 string) bool {
	name := strings.ToLower(filepath.Base(arg0))
	return strings.TrimSuffix(name, ".exe") == pushpinName
}

// pushpinOptions are Pushpin's flags.
type pushpinOptions struct {
	config, logLevel, logFile, port string
	routes                          []string
	instance                        uint16
	verbose, version, help          bool
}

func (o *pushpinOptions) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet(pushpinName, pflag.ContinueOnError)
	f.SetOutput(io.Discard) // problems are told in Pushpin's form
	f.StringVar(&o.config, "config", "", "configuration `FILE`")
	f.BoolVar(&o.verbose, "verbose", false, "log more, as --loglevel 3")
	f.StringVar(&o.logLevel, "loglevel", "", "0 errors, 1 warnings, 2 information, 3 all")
	f.StringVar(&o.logFile, "logfile", "", "`FILE` for the log; default is stdout")
	f.StringVar(&o.port, "port", "", "`[ADDRESS:]PORT` for clients, in place of http_port")
	f.StringArrayVar(&o.routes, "route", nil, "a `ROUTE` in place of the routes file; repeatable")
	f.Uint16Var(&o.instance, "id", 0, "number of this instance; moves the publish port")
	f.BoolP("merge-output", "m", false, "has no effect")
	f.BoolVarP(&o.version, "version", "v", false, "print the version")
	f.BoolVarP(&o.help, "help", "h", false, "print this")
	f.SortFlags = false
	return f
}

// newPushpin is what the launcher of relay shim starts.
func newPushpin(d deps) *cobra.Command {
	return &cobra.Command{
		Use:    "pushpin [PUSHPIN FLAGS]",
		Short:  "Take Pushpin's place, with its flags and files",
		Hidden: true,
		Long: "Started with Pushpin's flags and configuration file, the relay listens where\n" +
			"Pushpin would, without the Pub/Sub app, and logs in Pushpin's form.",
		Example: "  pubsubctl relay pushpin --config=pushpin.conf --verbose\n" +
			"  pubsubctl relay pushpin --port=7999 --route='* localhost:8000,over_http'",
		Args:               cobra.ArbitraryArgs,
		ValidArgsFunction:  noCompletion,
		DisableFlagParsing: true, // --config and --verbose are Pushpin's here
		Annotations:        notes("relay shim, help relay", noJSON("logs as Pushpin does")),
		RunE: func(c *cobra.Command, args []string) error {
			return runPushpin(c.Context(), d, args)
		},
	}
}

// runPushpin serves until ctx ends, and then ends at once and in good order. What
// goes wrong is a line of the log, as whoever started it reads nothing else.
func runPushpin(ctx context.Context, d deps, args []string) error {
	var o pushpinOptions
	flags := o.flags()
	err := flags.Parse(args)
	switch {
	case err != nil:
	case o.help:
		_, err := fmt.Fprintf(d.io.Out, "usage: pushpin [options]\n\n%s", flags.FlagUsages())
		return err
	case o.version:
		_, err := fmt.Fprintf(d.io.Out, "pushpin %s\n%s\n", pushpinVersion, thisBuild())
		return err
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	out := &lineWriter{w: d.io.Out}
	if err == nil {
		err = o.serve(ctx, d, out)
	}
	if err != nil {
		out.line(d.now(), slog.LevelError, d.io.Secrets.Redact(err.Error()))
		return ui.ExitFailed
	}
	return nil
}

// serve logs to out, unless the options name a file.
func (o pushpinOptions) serve(ctx context.Context, d deps, out *lineWriter) error {
	conf, err := readPushpinConf(d.path(o.config))
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	opt, err := o.over(conf)
	if err != nil {
		return err
	}
	if o.logFile != "" {
		f, err := os.OpenFile(d.path(o.logFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		defer f.Close() // what was written is written
		out = &lineWriter{w: f}
	}
	events := ui.NewEventLog(ui.LogOptions{Writer: out, Head: pushpinHead, Level: o.level(conf), Secrets: d.io.Secrets})
	defer events.Close()
	opt.Log = slog.New(events)
	d.io.Secrets.Add(opt.SigKey)
	d.io.Secrets.Add(opt.UpstreamKey)
	tellPushpin(conf, opt)
	s, err := relay.Start(ctx, opt)
	if err != nil {
		return err
	}
	opt.Log.Info("listening", "hub", s.Ready().Hub, "publish", s.Ready().Control)
	// The CLI waits for a line with this end, whatever the level.
	out.line(d.now(), slog.LevelInfo, "started")
	err = s.Wait(ctx)
	opt.Log.Info("stopping...")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushpinGrace)
	defer cancel()
	if late := s.Shutdown(stop); late != nil && !errors.Is(late, context.DeadlineExceeded) {
		err = errors.Join(err, late)
	}
	return err
}

// over is what the configuration says, unless a flag says otherwise.
func (o pushpinOptions) over(conf pushpinConf) (relay.Options, error) {
	opt, err := conf.options(int(o.instance))
	if err != nil {
		return opt, fmt.Errorf("configuration: %w", err)
	}
	if o.port != "" {
		if opt.Listen, err = address(o.port); err != nil {
			return opt, fmt.Errorf("--port: %w", err)
		}
	}
	if len(o.routes) > 0 {
		opt.Routes, opt.RoutesFile = o.routes, ""
	}
	return opt, nil
}

func (o pushpinOptions) level(conf pushpinConf) slog.Level {
	switch {
	case o.verbose:
		return slog.LevelDebug
	case o.logLevel != "":
		return pushpinLevel(o.logLevel)
	}
	return pushpinLevel(conf.values["runner/log_level"])
}

// tellPushpin logs what is not as the configuration seems to say.
func tellPushpin(conf pushpinConf, opt relay.Options) {
	opt.Log.Info("starting...", "version", thisBuild().Version)
	if conf.everyAddress() {
		opt.Log.Info("publishing is possible from this machine only, because it needs no key", "push_in_http_addr", conf.values["handler/push_in_http_addr"])
	}
	if opt.CORS {
		opt.Log.Warn("setting only followed in part", "name", "auto_cross_origin", "cause", "JSON-P is not offered")
	}
	names := conf.withoutEffect()
	slices.Sort(names)
	for _, name := range names {
		opt.Log.Warn("setting has no effect", "name", name)
	}
}

// pushpinHead is how a line of Pushpin's log begins.
func pushpinHead(t time.Time, l slog.Level) string {
	name := "DEBUG"
	switch {
	case l >= slog.LevelError:
		name = "ERR"
	case l >= slog.LevelWarn:
		name = "WARN"
	case l >= slog.LevelInfo:
		name = "INFO"
	}
	return "[" + name + "] " + t.Local().Format("2006-01-02 15:04:05.000") + " "
}

// lineWriter takes whole lines from several goroutines.
type lineWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

// Write implements io.Writer.
func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// line writes a line that no budget may leave out. A log has nowhere to report
// that it cannot be written.
func (l *lineWriter) line(t time.Time, level slog.Level, text string) {
	_, _ = io.WriteString(l, pushpinHead(t, level)+ui.Escape(text)+"\n")
}
