// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

/// Our own receipts: what we acknowledged to workers, so that they can see what we lost.
extension Store {
    /// The book as it is now.
    func receipts() throws(SQLiteError) -> ReceiptBook {
        try write { database throws(SQLiteError) in try Store.receipts(in: database) }
    }

    static func receipts(in database: Connection) throws(SQLiteError) -> ReceiptBook {
        let book = try database.first("SELECT state, serial, voids FROM receipt_book") { row in
            ReceiptBook(state: row.text(0) ?? "", serial: row.integer(1), voids: row.text(2) ?? "")
        }
        guard let book, let book, !book.state.isEmpty else {
            throw SQLiteError(code: SQLiteError.damage, text: "the table receipt_book holds no book")
        }
        return book
    }

    /// The receipt for what this transaction commits.
    static func nextReceipt(in database: Connection) throws(SQLiteError) -> Receipt {
        let receipt = try database.first("UPDATE receipt_book SET serial = serial + 1 RETURNING state, serial") { row in
            Receipt(state: row.text(0) ?? "", serial: row.integer(1))
        }
        guard let receipt else {
            throw SQLiteError(code: SQLiteError.damage, text: "the table receipt_book holds no book")
        }
        return receipt
    }

    /// To be done once in the life of a process with a database, before anything is acknowledged.
    ///
    /// - Returns: the state of the database.
    static func jumpReceipts(in database: Connection) throws(SQLiteError) -> String {
        try database.transaction { () throws(SQLiteError) in
            var book = try receipts(in: database)
            book.jump()
            try database.run(
                "UPDATE receipt_book SET serial = ?, voids = ?", .integer(book.serial), .text(book.voidsText))
            return book.state
        }
    }
}
