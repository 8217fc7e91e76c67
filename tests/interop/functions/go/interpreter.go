// SPDX-License-Identifier: Apache-2.0

// The interpreter of ../README.md.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"os"
	"strings"
)

const builtIn = "io.statefun.types/"

type operation struct {
	Kind    string          `json:"kind"`
	Amount  int32           `json:"amount"`
	Text    string          `json:"text"`
	State   string          `json:"state"`
	Value   json.RawMessage `json:"value"`
	Record  string          `json:"record"`
	To      string          `json:"to"`
	Message json.RawMessage `json:"message"`
	DelayMs uint64          `json:"delay_ms"`
	Token   string          `json:"token"`
	Type    string          `json:"type"`
	File    string          `json:"file"`
}

type program struct {
	Number string      `json:"number"`
	Ops    []operation `json:"ops"`
	Reply  string      `json:"reply"`
}

type interpreter struct {
	name  string
	specs []spec
}

// One message being handled.
type task struct {
	*context
	owner      *interpreter
	caller     string
	answerTo   string
	isAnswered bool
}

func textOf(a address) string { return a.namespace + "/" + a.name + "/" + a.id }

func addressOf(text string) address {
	parts := strings.SplitN(text, "/", 3)
	return address{parts[0], parts[1], parts[2]}
}

// encode gives bytes as Go's JSON encoder writes them, a line feed at the end.
func encode(value any) []byte {
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(value); err != nil {
		log.Panic(err)
	}
	return out.Bytes()
}

func valueOf(typename string, data []byte) typedValue {
	return typedValue{typename: typename, hasValue: true, value: data}
}

// wrap gives a JSON value as bytes of a built-in type.
func wrap(kind string, value json.RawMessage) ([]byte, error) {
	var err error
	parse := func(to any) { err = json.Unmarshal(value, to) }
	switch kind {
	case "bool":
		var parsed bool
		if parse(&parsed); parsed {
			return []byte{8, 1}, err
		}
		return []byte{}, err
	case "int":
		var parsed int32
		parse(&parsed)
		return wrapFixed32(uint32(parsed)), err
	case "long":
		var parsed int64
		parse(&parsed)
		return wrapFixed64(uint64(parsed)), err
	case "float":
		var parsed float32
		parse(&parsed)
		return wrapFixed32(math.Float32bits(parsed)), err
	case "double":
		var parsed float64
		parse(&parsed)
		return wrapFixed64(math.Float64bits(parsed)), err
	case "string":
		var parsed string
		parse(&parsed)
		return putText([]byte{}, 1, parsed), err
	}
	return nil, fmt.Errorf("no such type: %s", kind)
}

// unwrapAny gives bytes of a built-in type as a value; nil if it is none.
func unwrapAny(typename string, data []byte) any {
	switch strings.TrimPrefix(typename, builtIn) {
	case "bool":
		return unwrapBool(data)
	case "int":
		return unwrapInt(data)
	case "long":
		return unwrapLong(data)
	case "float":
		return unwrapFloat(data)
	case "double":
		return unwrapDouble(data)
	case "string":
		return unwrapString(data)
	}
	return nil
}

func (t *task) get(name string) any {
	if cell := t.cells[name]; cell.isSet {
		return unwrapAny(cell.spec.typename, cell.value)
	}
	return nil
}

func (t *task) setText(name, text string) { t.set(name, putText([]byte{}, 1, text)) }

func (t *task) appendSeen(text string) {
	seen, _ := t.get("seen").(string)
	t.setText("seen", seen+text+" ")
}

func (t *task) answer(value typedValue) {
	t.isAnswered = true
	if t.answerTo != "" {
		t.send(addressOf(t.answerTo), value)
	}
}

func (i *interpreter) invoke(work *context, argument typedValue) error {
	task := &task{context: work, owner: i}
	if work.caller != nil {
		task.caller = textOf(*work.caller)
	}
	kind := strings.TrimPrefix(argument.typename, builtIn)
	switch value := unwrapAny(argument.typename, argument.value); {
	case argument.typename == "interop/program":
		return task.run(argument.value)
	case argument.typename == "interop/passed":
		work.send(address{"probe", "raw", i.name}, argument)
	case value != nil:
		task.appendSeen(fmt.Sprintf("%s:%v", kind, value))
	default:
		task.appendSeen("other:" + argument.typename)
	}
	return nil
}

func (t *task) run(data []byte) error {
	var program program
	if err := json.Unmarshal(data, &program); err != nil {
		return err
	}
	if t.answerTo = program.Reply; t.answerTo == "" {
		t.answerTo = t.caller
	}
	if program.Number != "" {
		t.appendSeen(program.Number)
	}
	for _, op := range program.Ops {
		if err := t.do(op); err != nil {
			return err
		}
	}
	if !t.isAnswered && strings.HasPrefix(t.caller, "proa/") {
		t.answer(valueOf("interop/shown", encode(map[string]string{"number": program.Number})))
	}
	return nil
}

func (t *task) do(op operation) error {
	switch op.Kind {
	case "add":
		total, _ := t.get("total").(int32)
		t.set("total", wrapFixed32(uint32(total+op.Amount)))
	case "blob":
		t.setText("blob", fmt.Sprintf("%-5000s", op.Text))
	case "set", "send_value", "reply":
		return t.doWithValue(op)
	case "del":
		t.remove(op.State)
	case "note":
		t.setText("word", map[bool]string{true: "nobody", false: t.caller}[t.caller == ""])
	case "emit":
		t.emit("interop", "records", valueOf(builtIn+"string", putText(nil, 1, op.Record)))
	case "send":
		t.send(addressOf(op.To), valueOf("interop/program", encode(op.Message)))
	case "delay":
		t.sendAfter(op.DelayMs, op.Token, addressOf(op.To), valueOf("interop/program", encode(op.Message)))
	case "cancel":
		t.cancel(op.Token)
	case "hand_on":
		return t.handOn(op)
	case "look":
		t.answer(valueOf("interop/shown", encode(t.shown())))
	case "fail":
		if _, err := os.Stat(op.File); op.File == "" || err == nil {
			return errors.New("told to fail")
		}
	default:
		return fmt.Errorf("no such operation: %s", op.Kind)
	}
	return nil
}

func (t *task) doWithValue(op operation) error {
	kind := op.Type
	if op.Kind == "set" {
		kind = strings.TrimPrefix(t.cells[op.State].spec.typename, builtIn)
	}
	data, err := wrap(kind, op.Value)
	switch {
	case err != nil:
		return err
	case op.Kind == "set":
		t.set(op.State, data)
	case op.Kind == "reply":
		t.answer(valueOf(builtIn+kind, data))
	default:
		t.send(addressOf(op.To), valueOf(builtIn+kind, data))
	}
	return nil
}

func (t *task) handOn(op operation) error {
	message := map[string]any{}
	if err := json.Unmarshal(op.Message, &message); err != nil {
		return err
	}
	t.isAnswered = true
	message["reply"] = t.answerTo
	t.send(addressOf(op.To), valueOf("interop/program", encode(message)))
	return nil
}

func (t *task) shown() map[string]any {
	shown := map[string]any{"self": textOf(t.self), "caller": nil}
	for _, spec := range t.owner.specs {
		shown[spec.name] = t.get(spec.name)
	}
	if blob, isSet := shown["blob"].(string); isSet {
		shown["blob"] = blob[:40]
	}
	if t.caller != "" {
		shown["caller"] = t.caller
	}
	return shown
}

// countMessages is what the captured bytes were answers of.
func countMessages(work *context, _ typedValue) error {
	count := unwrapLong(work.cells["state"].value)
	work.set("state", binary.LittleEndian.AppendUint64([]byte{9}, uint64(count+1)))
	return nil
}

func main() {
	name, port, countType := os.Args[1], os.Args[2], os.Args[3]
	own := &interpreter{name: name, specs: []spec{
		{name: "count", typename: builtIn + countType},
		{name: "total", typename: builtIn + "int"},
		{name: "word", typename: builtIn + "string"},
		{name: "blob", typename: builtIn + "string"},
		{name: "seen", typename: builtIn + "string"},
		{name: "flag", typename: builtIn + "bool"},
		{name: "brief", typename: builtIn + "string", mode: 1, expireMs: 300},
		{name: "idle", typename: builtIn + "string", mode: 2, expireMs: 900},
	}}
	all := functions{
		"interop/" + name: {own.specs, own.invoke},
		"statefun.smoke.e2e/command-interpreter-fn": {[]spec{{name: "state", typename: builtIn + "long"}}, countMessages},
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, all))
}
