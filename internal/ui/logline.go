package ui

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// textLine renders r for people: time, level unless it is info, message, facts.
func (h *EventLog) textLine(r slog.Record) []byte {
	b := h.head(make([]byte, 0, 160), r)
	b = append(b, h.tidy(r.Message)...)
	last := ""
	h.each(r, func(key string, v slog.Value) {
		switch text := quoteIfNeeded(h.text(key, v)); {
		case key == "of" && last == "delivered": // delivered=3 of=5 reads "3 of 5 delivered"
			b = append(b[:len(b)-len(" delivered")], " of "+text+" delivered"...)
		case key == "delivered":
			b = append(b, " "+text+" delivered"...)
		default:
			b = append(b, " "+key+"="+text...)
		}
		last = key
	})
	return append(b, '\n')
}

// head appends what a line begins with.
func (h *EventLog) head(b []byte, r slog.Record) []byte {
	if h.opt.Head != nil {
		return append(b, h.opt.Head(r.Time, r.Level)...)
	}
	b = append(b, Dim.Paint(h.opt.Color, r.Time.Local().Format(time.TimeOnly))...)
	b = append(b, ' ')
	if name, style := levelName(r.Level), levelStyle(r.Level); name != "info" {
		b = append(append(b, style.Paint(h.opt.Color, name)...), ' ')
	}
	return b
}

// jsonLine renders r as one JSON object.
func (h *EventLog) jsonLine(r slog.Record) []byte {
	b := make([]byte, 0, 200)
	b = append(b, `{"time":"`...)
	b = r.Time.UTC().AppendFormat(b, jsonTime)
	b = append(append(b, `","level":"`...), levelName(r.Level)...)
	b = appendJSONString(append(b, `","msg":`...), h.tidy(r.Message))
	h.each(r, func(key string, v slog.Value) {
		b = appendJSONString(append(b, ','), key)
		b = append(b, ':')
		switch v.Kind() {
		case slog.KindInt64, slog.KindUint64, slog.KindBool:
			b = append(b, v.String()...)
		default:
			b = appendJSONString(b, h.text(key, v))
		}
	})
	return append(b, "}\n"...)
}

// each calls fn for every fact of the line, groups taken apart.
func (h *EventLog) each(r slog.Record, fn func(key string, v slog.Value)) {
	for _, a := range h.attrs {
		eachAttr("", a, fn)
	}
	r.Attrs(func(a slog.Attr) bool {
		eachAttr(h.prefix, a, fn)
		return true
	})
}

func eachAttr(prefix string, a slog.Attr, fn func(key string, v slog.Value)) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, m := range v.Group() {
			eachAttr(prefix, m, fn)
		}
		return
	}
	if a.Key != "" {
		fn(prefix+a.Key, v)
	}
}

// text gives a value as safe text: redacted, escaped, bounded.
func (h *EventLog) text(key string, v slog.Value) string {
	if secretName(key) {
		return redacted
	}
	if v.Kind() == slog.KindDuration {
		return v.Duration().Round(time.Microsecond).String()
	}
	return h.tidy(v.String())
}

// tidy redacts before it cuts, so that no half of a secret is left over.
func (h *EventLog) tidy(s string) string {
	s = h.opt.Secrets.Redact(s[:min(len(s), 8*maxLogText)])
	if len(s) > maxLogText {
		s = s[:maxLogText] + "..."
	}
	return Escape(s)
}

// secretName tells names whose values are never shown, whoever logs them.
func secretName(key string) bool {
	switch strings.ToLower(key[strings.LastIndexByte(key, '.')+1:]) {
	case "token", "key", "secret", "password", "authorization", "auth", "fastly_key":
		return true
	}
	return false
}

// quoteIfNeeded makes a value one word. It is escaped already, so only quotes
// are left to escape.
func quoteIfNeeded(s string) string {
	if s != "" && !strings.ContainsAny(s, " =\"") {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
}

func appendJSONString(b []byte, s string) []byte {
	if plain(s) && !strings.ContainsAny(s, `"\`) {
		return append(append(append(b, '"'), s...), '"')
	}
	enc, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return strconv.AppendQuoteToASCII(b, s)
	}
	return append(b, enc...)
}

func levelName(l slog.Level) string {
	return [logLevels]string{"debug", "info", "warn", "error"}[rank(l)]
}

func levelStyle(l slog.Level) Style {
	return [logLevels]Style{Dim, Plain, Yellow, Red}[rank(l)]
}
