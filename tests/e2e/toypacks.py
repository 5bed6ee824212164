"""toypacks - a vocabulary and two packs of its own, for tests of the broker that
depend on no product: a shop that publishes orders and payments, and books that
take postings."""
import textwrap

FILES = {
    'canonical/order.placed.yaml': '''
        schema: order.placed/1
        title: What a customer bought
        subject: {kind: order, scope: system}
        person: email
        fields:
          number: text
          total: decimal
          changed: integer
          email?: {type: text, personal: true}
        ''',
    'canonical/payment.captured.yaml': '''
        schema: payment.captured/1
        title: Money came in
        subject: {kind: order, scope: system}
        fields:
          payment_id: text
          method: text
          amount: decimal
        ''',
    'toyshop/pack.yaml': '''
        pack: toyshop/1
        title: A shop for tests
        ''',
    'toyshop/schema/toyshop.order.yaml': '''
        schema: toyshop.order/1
        title: An order
        fields:
          number: text
          total: decimal
          changed: integer
          email?: text
          ref?: text
        ''',
    'toyshop/schema/toyshop.payment.yaml': '''
        schema: toyshop.payment/1
        title: A payment
        fields:
          id: text
          order: text
          method: text
          amount: decimal
        ''',
    'toyshop/order.map.yaml': '''
        map: toyshop.order/1
        from: toyshop.order
        emit:
          - type: order.placed
            id: "placed"
            again: revise by changed
            subject: "order:{number}"
            refs: ["toy:{number}"]
            data:
              number: number
              total: total
              changed: changed
              email?: email
        ''',
    'toyshop/payment.map.yaml': '''
        map: toyshop.payment/1
        from: toyshop.payment
        emit:
          - type: payment.captured
            when: method != 'void'
            id: "payment:{$in.id}"
            subject: "order:{order}"
            data:
              payment_id: $in.id
              method: method
              amount: amount
            check:
              - amount > 0
        ''',
    'toybooks/pack.yaml': '''
        pack: toybooks/1
        title: Books for tests
        settings:
          folder: {type: path, required: true}
        send:
          toybooks.posting: {write: ledger, revised: send, spent: park}
          toybooks.note: {write: ledger, revised: send, spent: skip}
        ''',
    'toybooks/schema/toybooks.posting.yaml': '''
        schema: toybooks.posting/1
        title: A posting
        fields:
          order: text
          payment: text
          account: text
          amount: decimal
          before: decimal
          total: decimal
        ''',
    'toybooks/schema/toybooks.note.yaml': '''
        schema: toybooks.note/1
        title: A note
        fields:
          number: text
          total: decimal
        ''',
    'toybooks/posting.map.yaml': '''
        map: toybooks.posting/1
        from: payment.captured
        join:
          order: {last: order.placed, subject: $event.subject, absent: wait 15m}
          earlier: {all: payment.captured, subject: $event.subject}
        tables:
          clearing:
            unmatched: ask
            rows: {card: '1320', bank: '1310'}
        emit:
          - type: toybooks.posting
            id: "payment:{payment_id}"
            data:
              order: order.number
              payment: payment_id
              account: lookup(clearing, method)
              amount: amount
              before: sum(p.amount for p in earlier)
              total: order.total
        ''',
    'toybooks/note.map.yaml': '''
        map: toybooks.note/1
        from: order.placed
        emit:
          - type: toybooks.note
            id: "note"
            subject: "note:{number}"
            data:
              number: number
              total: total
        ''',
}


def write(folder):
    """The packs under `folder`; gives the folder's path as text."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return str(folder)
