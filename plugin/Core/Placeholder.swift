import CGantry
