"""What the published document says in words: all that somebody must know, beyond the schemas, to write either end."""

from typing import Final

from appliance import wire

ABOUT: Final = f"""\
A service window of a county's medical insurance and the county's collector speak MQTT 3.1.1, QoS 1, over any broker. \
Payloads are JSON in UTF-8. This is version 1; a change of it is a version 2 beside it, not an edit.

## Names

- *county*: six digits (GB/T 2260). *window*: `{{county}}-{{site}}-{{number}}`; it is the window's MQTT client id and \
user name, which a broker should take from the common name of its certificate, letting it write under its own topics \
only.
- *ledger*: eight hex digits drawn at random when a window begins a new file. *sequence*: 1, 2, 3 … within a ledger, \
without a gap. Every other number (visit, case, paper, absence) is unique only within its window and ledger.

## Bounds

Both ends refuse what a schema here forbids and take what it allows; members that it does not name are ignored, and \
so are attributes of a CloudEvent. Beyond the schemas: a topic has at most {wire.MAX_TOPIC} bytes; a fact, an \
acknowledgement or an order at most {wire.MAX_PAYLOAD // 1024} KiB, a health 64 KiB, a status 16 KiB, a presence 1 \
KiB; at most {wire.MAX_DEPTH} brackets stand open at once; times and days lie in the years {wire.FIRST_YEAR} to \
{wire.LAST_YEAR}; no text holds U+0000; sequences end at 2^63-1. A refused message is put aside and counted and \
disturbs no other; a window that wants to be heard has to mend what it says.

## A fact

One thing that happened, as a CloudEvent 1.0 in structured JSON, published under `…/fact/{{type}}`, not retained.

- `id` is the ledger, `-`, and the sequence in at least six digits; `sequence` is the same number without leading \
zeros; `source` is `/windows/{{county}}/{{window}}` as in the topic; `type` is `window.{{type}}.v1` with the topic's \
type.
- The payload is made once and is byte for byte the same however often it is sent. `prevhash` is the SHA-256, in hex, \
of the payload of the sequence before, 64 zeros for the first: the county checks the chain and shows where it breaks.
- `time` is the window's clock with its offset, `bootid` names the start of the machine, `uptime` is seconds since \
then. While `clocksynced` is false the time is not to be trusted; a later `clock.synced` of the same boot has the \
seconds to add to the times of all facts of that boot that were stamped so.
- A county keeps a type or a version that it does not know as it came, and acknowledges it.
- No fact, and no other message, carries a resident's name, number or telephone; an applicant is masked.

## Delivery

A PUBACK is the broker's word and ends nothing. A window keeps a fact until an acknowledgement under `…/ack` names \
its ledger and sequence; the county sends that after it has committed the fact. So every fact arrives at least once, \
and the county keeps it once: ledger and sequence are its key.

- A window publishes facts only while it is connected, oldest first, what happens now beside what waits, with at most \
{wire.MAX_IN_FLIGHT} not acknowledged; one that is not acknowledged within 10 s goes again, then at doubled intervals \
up to 60 s, and at once when the county's presence comes back or names a new session. After a new connection it \
begins at its oldest fact without acknowledgement.
- An acknowledgement names inclusive ranges, in any order, that may overlap and repeat. It is for one ledger: one \
that names another, or a sequence that the window has not given yet, acknowledges nothing.
- The county acknowledges what it has, be it new or known, and what it has put aside, if its id could be read: \
sending it again would not mend it. It does not acknowledge a fact of a ledger that another window brought first. A \
ledger belongs to the window that brought it first; the fact is put aside as `foreign_ledger`, and the window keeps \
it.
- Two facts of one ledger and sequence whose bytes differ are a conflict: the first stays, the second is put aside.

## Gaps and `replay`

The county looks for sequences that it lacks below the newest that it has, or below `outbox.newest` in a window's \
health. One that is two minutes old it shows and asks for with the order `replay`: at most {wire.MAX_REPLAY} \
sequences, `from` and `to` included, at most one open order a ledger, repeated at growing intervals up to an hour. \
The window sends the facts again as it sends any other, byte for byte, and answers; so a book restored from an old \
copy is whole again.

## Orders

An order is a CloudEvent under `…/order/{{name}}`, not retained; its `type` is `window.order.{{name}}.v1` with the \
topic's name and its `source` `/counties/{{county}}`. A window carries out an `id` once, however often it comes, and \
answers with the fact `order.done` or `order.refused` that names it; the county says it again until it has that. \
Reasons of a refusal: `foreign_ledger` (a ledger that is not the window's), `missing` (it lacks some of the \
sequences; those it has it sends), `unknown` (an order or data that it does not know). `expires` and `signature` are \
kept for orders that will need them.

## Presence, status, health

All three are retained; an empty retained payload means that nothing is known. A window connects with a clean session \
and a last will of its `presence` with `"online": false` and the session of this connection, and says `"online": \
true` with the same session once it is there; `session` is higher with every connection. A reader ignores an offline \
whose session is lower than that of the last online it heard, for a broker may tell a will after the window has come \
back. Going in good order, a window says offline itself.

`status` is sent when it changes, `health` when something in it but wandering numbers changes, and every 60 s; a \
window whose newest health is three minutes old is to be called silent whatever its presence says.

## Collectors

A collector subscribes to `windows/v1/{{county}}/+/fact/#`, `…/presence`, `…/status` and `…/health` of the windows of \
its county, with a client id of its own and a session that the broker keeps. Several may read the same county, each a \
live spare of the others, if they keep their facts in one database (one PostgreSQL): then each acknowledges only what \
all of them have. Two collectors with a database each would each hold what the other acknowledged. \
`windows/v1/{{county}}/county/presence` is one retained topic for all of them: a collector that hears another's \
offline there says its own online again, and a window takes a fresh acknowledgement for a sign that the county is \
there.
"""
